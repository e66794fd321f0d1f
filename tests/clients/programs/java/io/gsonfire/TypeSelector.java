package io.gsonfire;

import com.google.gson.JsonElement;

/** In place of the interface of gson-fire, which the client imports and does not use. */
public interface TypeSelector<T> {
    Class<? extends T> getClassForElement(JsonElement element);
}
