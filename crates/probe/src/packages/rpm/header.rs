//! The header that rpm stores for each package (rpm's "Package file format", section header).
//!
//! Two lengths, then entries of sixteen bytes (tag, type, offset, count), then the data they point
//! into; all numbers are big-endian. In the database it stands without its magic number.

/// Entries of one header, as rpm itself limits them.
const ENTRIES: usize = 0xffff;

/// Texts read of one entry.
const TEXTS: usize = 100_000;

const ENTRY_BYTES: usize = 16;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const TRANSLATED: u32 = 9;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u32);

impl Tag {
    pub(super) const NAME: Tag = Tag(1000);
    pub(super) const VERSION: Tag = Tag(1001);
    pub(super) const RELEASE: Tag = Tag(1002);
    pub(super) const EPOCH: Tag = Tag(1003);
    pub(super) const VENDOR: Tag = Tag(1011);
    pub(super) const ARCH: Tag = Tag(1022);
    pub(super) const SOURCERPM: Tag = Tag(1044);
    pub(super) const PROVIDENAME: Tag = Tag(1047);
    pub(super) const MODULARITYLABEL: Tag = Tag(5096);
}

/// A header that lies in a row.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    entries: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    /// None where its lengths are not those of the bytes.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let entries = usize::try_from(number(bytes, 0)?).ok().filter(|entries| *entries <= ENTRIES)?;
        let length = usize::try_from(number(bytes, 4)?).ok()?;
        let (entries, data) = bytes.get(8..)?.split_at_checked(entries.checked_mul(ENTRY_BYTES)?)?;
        Some(Self { entries, data: data.get(..length)? })
    }

    /// The first text of a tag; none where there is none or it is empty.
    pub(super) fn text(self, tag: Tag) -> Option<String> {
        let (_, data) = self.entry(tag, &[STRING, STRING_ARRAY, TRANSLATED])?;
        let text = data.split(|byte| *byte == 0).next().filter(|text| !text.is_empty())?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// The texts of a tag.
    pub(super) fn texts(self, tag: Tag) -> Vec<String> {
        let Some((count, data)) = self.entry(tag, &[STRING_ARRAY]) else { return Vec::new() };
        let texts = data.split(|byte| *byte == 0).take(count.min(TEXTS));
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// The first number of a tag.
    pub(super) fn number(self, tag: Tag) -> Option<u32> {
        let (_, data) = self.entry(tag, &[INT32])?;
        number(data, 0)
    }

    /// How many values a tag has, and the data from the first of them on.
    fn entry(self, tag: Tag, types: &[u32]) -> Option<(usize, &'a [u8])> {
        let (entries, _) = self.entries.as_chunks::<ENTRY_BYTES>();
        let entry = entries.iter().find(|entry| number(*entry, 0) == Some(tag.0))?;
        if !types.contains(&number(entry, 4)?) {
            return None;
        }
        let data = self.data.get(usize::try_from(number(entry, 8)?).ok()?..)?;
        Some((usize::try_from(number(entry, 12)?).ok()?, data))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
