//! Which lines of fleet.toml belong to what. Offsets come from the parser, so nothing inside of a string or an array
//! is taken for a header or a comment.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, TomlError};

/// The text as lines, with what the parser knows of it.
pub(super) struct Lines<'a> {
    text: &'a str,
    document: Document<&'a str>,
    /// Where tables begin, in order: the offsets of their headers.
    headers: Vec<usize>,
    /// Where keys and values lie.
    spans: Vec<Range<usize>>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, TomlError> {
        let document = Document::parse(text)?;
        let (mut headers, mut spans) = (Vec::new(), Vec::new());
        collect(document.as_table(), &mut headers, &mut spans);
        headers.sort_unstable();
        Ok(Self { text, document, headers, spans })
    }

    /// The item of a key of the root table, or of one within it.
    pub(super) fn item(&self, path: &[&str]) -> Option<&Item> {
        path.iter().try_fold(self.document.as_item(), |item, key| item.get(key))
    }

    /// Where the key of a table within the root table is written, in front of its value.
    pub(super) fn key_of(&self, table: &str, key: &str) -> Option<Range<usize>> {
        self.item(&[table])?.as_table_like()?.get_key_value(key)?.0.span()
    }

    /// The lines from a table's header to its last value, with a comment block that hangs directly below: a key that
    /// was commented out. Offset 0 gives what precedes all headers. Without the last line's end.
    pub(super) fn table(&self, header: usize) -> Range<usize> {
        let next = self.headers.iter().copied().find(|at| *at > header).unwrap_or(self.text.len());
        let inside = |span: &&Range<usize>| span.start >= header && span.start < next;
        let last = self.spans.iter().filter(inside).map(|span| span.end).max().unwrap_or(header);
        let mut end = self.end_of_line(last);
        let mut below = end;
        while let Some(line) = self.line_below(below).filter(|line| self.is_comment(line)) {
            below = line.end;
        }
        // Directly above the next header it is that one's.
        let is_next_ones = self.line_below(below).is_some_and(|line| line.contains(&next));
        if !is_next_ones {
            end = below;
        }
        self.start_of_line(header)..end
    }

    /// The lines, with the comment block directly above them.
    pub(super) fn with_comment(&self, lines: Range<usize>) -> Range<usize> {
        let mut start = lines.start;
        while let Some(line) = self.line_above(start).filter(|line| self.is_comment(line)) {
            start = line.start;
        }
        start..lines.end
    }

    /// The whole lines that a span touches.
    pub(super) fn touched(&self, span: &Range<usize>) -> Range<usize> {
        self.start_of_line(span.start)..self.end_of_line(span.end)
    }

    /// Is the line above blank, or is there none?
    pub(super) fn is_apart_above(&self, start: usize) -> bool {
        self.line_above(start).is_none_or(|line| self.is_blank(&line))
    }

    /// The lines with their last line's end, and with the blank lines above if there are others below.
    pub(super) fn to_remove(&self, lines: Range<usize>) -> Range<usize> {
        let below = self.line_below(lines.end);
        let end = below.as_ref().map_or(self.text.len(), |line| line.start);
        let mut start = lines.start;
        if below.is_none_or(|line| self.is_blank(&line)) {
            while let Some(line) = self.line_above(start).filter(|line| self.is_blank(line)) {
                start = line.start;
            }
        }
        // The file ends as it ended: without a line's end if it had none.
        if end == self.text.len() && !self.text.ends_with('\n') {
            start = self.line_above(start).map_or(start, |line| line.end);
        }
        start..end
    }

    /// The end of the last line that is not blank.
    pub(super) fn end_of_text(&self) -> usize {
        self.text.trim_end().len()
    }

    fn start_of_line(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// In front of the line's end, be it one byte or two.
    fn end_of_line(&self, at: usize) -> usize {
        let line = self.text[at..].split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    fn line_above(&self, start: usize) -> Option<Range<usize>> {
        let newline = start.checked_sub(1)?;
        let above = self.start_of_line(newline);
        Some(above..self.end_of_line(above))
    }

    fn line_below(&self, end: usize) -> Option<Range<usize>> {
        let start = end + self.text[end..].find('\n')? + 1;
        // Behind the last line's end there is no line.
        (start < self.text.len()).then(|| start..self.end_of_line(start))
    }

    fn is_blank(&self, line: &Range<usize>) -> bool {
        self.text[line.clone()].trim().is_empty()
    }

    fn is_comment(&self, line: &Range<usize>) -> bool {
        // A line of a multi-line string can begin like this as well.
        let is_in_value = self.spans.iter().any(|span| span.start < line.end && line.start < span.end);
        self.text[line.clone()].trim_start().starts_with('#') && !is_in_value
    }
}

/// The headers and the spans of a table and of all within it.
fn collect(table: &dyn TableLike, headers: &mut Vec<usize>, spans: &mut Vec<Range<usize>>) {
    for (_, item) in table.iter() {
        match item {
            // Its span is its header's, if it has one.
            Item::Table(inner) => {
                if !inner.is_implicit() && !inner.is_dotted() {
                    headers.extend(inner.span().map(|span| span.start));
                    spans.extend(inner.span());
                }
                collect(inner, headers, spans);
            }
            // An array of tables: no fleet has one.
            Item::None | Item::ArrayOfTables(_) => {}
            Item::Value(value) => spans.extend(value.span()),
        }
    }
}
