// The clipboard, with a fallback for browsers that do not allow it.

const SHOWN_FOR = 2500;

/**
 * Copy a text and report the result in an element for about two seconds. Browsers refuse the clipboard without HTTPS,
 * except on localhost: then `select` runs, so that the text can be copied by keyboard.
 */
export async function copyText(text, report, select) {
  try {
    await navigator.clipboard.writeText(text);
    report.textContent = "Copied.";
  } catch {
    select();
    report.textContent = "Selected. Copy it with Ctrl+C.";
  }
  setTimeout(() => (report.textContent = ""), SHOWN_FOR);
}
