/** A textarea that shows and edits a Y.Text. */
import * as Y from "yjs";

/** Bind a textarea to a Y.Text. Edits of others keep the selection, and undo reverts only local edits. */
export function bindTextarea(area, text) {
  const undo = new Y.UndoManager(text, { trackedOrigins: new Set([area]) });

  area.value = text.toString();
  area.addEventListener("input", () => {
    const { index, removed, inserted } = difference(text.toString(), area.value, area.selectionEnd);
    text.doc.transact(() => {
      if (removed) text.delete(index, removed);
      if (inserted) text.insert(index, inserted);
    }, area);
  });

  text.observe((event, { origin }) => {
    if (origin === area) return; // the textarea already shows this edit
    let index = 0;
    for (const { retain = 0, insert = "", delete: removed = 0 } of event.delta) {
      index += retain;
      if (insert || removed) area.setRangeText(insert, index, index + removed, "preserve");
      index += insert.length;
    }
  });

  area.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    if (event.shiftKey) undo.redo();
    else undo.undo();
  });
}

/**
 * Return the shortest change from `before` to `after`.
 *
 * The text after the caret is unchanged, which shows the position of an "a" that was typed into "aaa". Surrogate pairs
 * stay whole, because Yjs replaces the halves of a pair that is cut.
 */
export function difference(before, after, caret) {
  let end = 0;
  const longestEnd = Math.min(before.length, after.length - caret);
  while (end < longestEnd && before.at(-1 - end) === after.at(-1 - end)) end++;
  if (isSecondHalf(after, after.length - end) || isSecondHalf(before, before.length - end)) end--;

  let index = 0;
  const longestStart = Math.min(before.length, after.length) - end;
  while (index < longestStart && before[index] === after[index]) index++;
  if (isSecondHalf(after, index) || isSecondHalf(before, index)) index--;

  return { index, removed: before.length - end - index, inserted: after.slice(index, after.length - end) };
}

/** Return true if the character at `index` is the second half of a surrogate pair. */
function isSecondHalf(text, index) {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(Math.max(0, index - 1), index + 1));
}
