package io.gsonfire;

import com.google.gson.GsonBuilder;

/** In place of the class of gson-fire, which no package brings: the client registers nothing with it. */
public class GsonFireBuilder {
    public GsonBuilder createGsonBuilder() {
        return new GsonBuilder();
    }
}
