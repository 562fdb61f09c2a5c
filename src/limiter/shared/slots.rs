//! Which node of a cluster has which windows.

use redis::Value;

/// Slots that the names of a cluster are spread over.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of what is between the braces of a name (CRC-16/XMODEM).
pub(super) fn slot_of(tag: &str) -> u16 {
    let step = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    let crc = tag.bytes().fold(0_u16, |crc, byte| (0..8).fold(crc ^ (u16::from(byte) << 8), step));
    crc.checked_rem(SLOTS).unwrap_or(0)
}

/// Slots in a row that one node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    /// Nothing when it is the node that was asked.
    pub(super) host: Option<String>,
    pub(super) port: u16,
}

/// What a node answers to `CLUSTER SLOTS`. Nothing when it knows of none, or is not understood.
pub(super) fn ranges(reply: Value) -> Option<Vec<Range>> {
    let ranges = list(reply)?.into_iter().map(range).collect::<Option<Vec<Range>>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

fn range(row: Value) -> Option<Range> {
    let mut row = list(row)?.into_iter();
    let (first, last) = (number(&row.next()?)?, number(&row.next()?)?);
    let mut node = list(row.next()?)?.into_iter();
    let (host, port) = (text(node.next()?), number(&node.next()?)?);
    Some(Range { first, last, host: host.filter(|host| !matches!(host.as_str(), "" | "?")), port })
}

fn list(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(list) = value { Some(list) } else { None }
}

fn number(value: &Value) -> Option<u16> {
    if let Value::Int(number) = value { u16::try_from(*number).ok() } else { None }
}

fn text(value: Value) -> Option<String> {
    if let Value::BulkString(bytes) = value { String::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // The check value of the algorithm, and what a node answers to CLUSTER KEYSLOT.
        assert_eq!(slot_of("123456789"), 0x31c3);
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of(""), 0);
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"07c37df".to_vec()), Value::Array(Vec::new())])
    }

    #[test]
    fn nodes_without_a_name_of_their_own_are_the_one_that_was_asked() {
        let row = |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let reply = Value::Array(vec![
            row(0, 5_460, node(Value::BulkString(b"10.0.0.1".to_vec()), 6_379)),
            row(5_461, 16_383, node(Value::Nil, 6_380)),
        ]);
        let expected = vec![
            Range { first: 0, last: 5_460, host: Some("10.0.0.1".to_owned()), port: 6_379 },
            Range { first: 5_461, last: 16_383, host: None, port: 6_380 },
        ];
        assert_eq!(ranges(reply), Some(expected));
        assert_eq!(ranges(Value::Array(Vec::new())), None, "a node that is in no cluster yet");
        assert_eq!(ranges(Value::Array(vec![row(0, 70_000, node(Value::Nil, 6_380))])), None);
    }
}
