//! The marked block: our lines inside a file that belongs to the person.
//!
//! Pure, and works on bytes: a file of any encoding keeps every byte outside the markers.

/// What stands behind the comment sign of the first line of a block.
const BEGIN: &str = ">>> signoz-setup >>>";
/// What stands behind the comment sign of its last line.
const END: &str = "<<< signoz-setup <<<";

/// A block found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where the begin marker's line starts.
    start: usize,
    /// Behind the end marker's line.
    end: usize,
    /// The lines between the markers.
    pub(crate) body: Vec<u8>,
}

/// A file with a block in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// The whole file.
    pub(crate) bytes: Vec<u8>,
    /// The lines between the markers, with the file's own line ends.
    pub(crate) body: Vec<u8>,
    /// Bytes of the line break that was added in front of the block, because the file did not end in one.
    pub(crate) glue: usize,
}

/// Finds the block.
///
/// # Errors
/// The line number of a marker that has no partner; such a file must not be edited.
pub(crate) fn find(bytes: &[u8], comment: &str) -> Result<Option<Found>, usize> {
    let (begin, end) = (format!("{comment} {BEGIN}"), format!("{comment} {END}"));
    let mut open: Option<(usize, usize, usize)> = None;
    let mut offset = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let next = offset + line.len();
        let text = line.trim_ascii_end();
        if text == begin.as_bytes() {
            if let Some((_, _, line)) = open {
                return Err(line);
            }
            open = Some((offset, next, number + 1));
        } else if text == end.as_bytes() {
            let (start, inside, _) = open.ok_or(number + 1)?;
            let body = bytes.get(inside..offset).unwrap_or_default().to_vec();
            return Ok(Some(Found { start, end: next, body }));
        }
        offset = next;
    }
    open.map_or(Ok(None), |(_, _, line)| Err(line))
}

/// Puts the block in: in the place of the one that is there, else at the end.
///
/// # Errors
/// See [`find`].
pub(crate) fn insert(bytes: &[u8], content: &str, comment: &str) -> Result<Inserted, usize> {
    let eol = line_end(bytes);
    let mut body = Vec::new();
    for line in content.lines() {
        body.extend_from_slice(line.as_bytes());
        body.extend_from_slice(eol);
    }
    let mut block = format!("{comment} {BEGIN}").into_bytes();
    block.extend_from_slice(eol);
    block.extend_from_slice(&body);
    block.extend_from_slice(format!("{comment} {END}").as_bytes());
    block.extend_from_slice(eol);
    let (head, tail) = find(bytes, comment)?.map_or((bytes, &[][..]), |found| {
        (
            bytes.get(..found.start).unwrap_or_default(),
            bytes.get(found.end..).unwrap_or_default(),
        )
    });
    let glue: &[u8] = if head.is_empty() || head.ends_with(b"\n") { &[] } else { eol };
    Ok(Inserted {
        bytes: [head, glue, &block, tail].concat(),
        body,
        glue: glue.len(),
    })
}

/// Takes the block out; the rest stays byte for byte. `None` when there is no block.
///
/// # Errors
/// See [`find`].
pub(crate) fn remove(bytes: &[u8], comment: &str, glue: usize) -> Result<Option<Vec<u8>>, usize> {
    let Some(found) = find(bytes, comment)? else {
        return Ok(None);
    };
    let mut head = bytes.get(..found.start).unwrap_or_default();
    let tail = bytes.get(found.end..).unwrap_or_default();
    // With lines behind the block, the line break in front of it is needed by them.
    if tail.is_empty() {
        head = head.get(..head.len().saturating_sub(glue)).unwrap_or(head);
    }
    Ok(Some([head, tail].concat()))
}

/// Puts other lines between the markers that are there.
///
/// # Errors
/// See [`find`].
pub(crate) fn exchange(bytes: &[u8], comment: &str, body: &[u8]) -> Result<Option<Vec<u8>>, usize> {
    let Some(found) = find(bytes, comment)? else {
        return Ok(None);
    };
    let line = |text: &[u8]| text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    let block = bytes.get(found.start..found.end).unwrap_or_default();
    let inside = found.start + line(block);
    let outside = inside + found.body.len();
    Ok(Some(
        [
            bytes.get(..inside).unwrap_or_default(),
            body,
            bytes.get(outside..).unwrap_or_default(),
        ]
        .concat(),
    ))
}

fn line_end(bytes: &[u8]) -> &'static [u8] {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && bytes.get(at - 1) == Some(&b'\r') => b"\r\n",
        _ => b"\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_insert_replaces_the_first() {
        let once = insert(b"a\n", "one", "#").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&once.bytes),
            "a\n# >>> signoz-setup >>>\none\n# <<< signoz-setup <<<\n"
        );
        let twice = insert(&[once.bytes.as_slice(), b"b\n"].concat(), "two", "#").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&twice.bytes),
            "a\n# >>> signoz-setup >>>\ntwo\n# <<< signoz-setup <<<\nb\n"
        );
        assert_eq!(remove(&twice.bytes, "#", 0).unwrap().unwrap(), b"a\nb\n");
        let back = exchange(&twice.bytes, "#", b"one\n").unwrap().unwrap();
        assert_eq!(back, [once.bytes.as_slice(), b"b\n"].concat());
    }

    #[test]
    fn line_ends_of_the_file_are_kept() {
        let inserted = insert(b"a\r\nb", "x\ny", "#").unwrap();
        assert_eq!(
            inserted.bytes,
            b"a\r\nb\r\n# >>> signoz-setup >>>\r\nx\r\ny\r\n# <<< signoz-setup <<<\r\n"
        );
        assert_eq!(inserted.glue, 2);
        assert_eq!(remove(&inserted.bytes, "#", 2).unwrap().unwrap(), b"a\r\nb");
    }

    #[test]
    fn a_marker_without_its_partner_is_named_by_line() {
        assert_eq!(insert(b"a\n# >>> signoz-setup >>>\nx\n", "y", "#"), Err(2));
        assert_eq!(insert(b"# <<< signoz-setup <<<\n", "y", "#"), Err(1));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200), body in "[a-z\n ]{0,40}") {
            let inserted = insert(&bytes, &body, "#").unwrap();
            prop_assert_eq!(remove(&inserted.bytes, "#", inserted.glue).unwrap().unwrap(), bytes);
        }
    }
}
