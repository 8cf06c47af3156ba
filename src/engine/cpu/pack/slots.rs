//! Where a block's maps are.

use std::collections::HashMap;

use super::super::layer::Slot;
use super::join::Joint;
use crate::arch::Value;
use crate::engine::fuse::Kind;

/// Where the joints of one block read and write their maps.
pub(super) struct Slots {
    slots: HashMap<Value, Slot>,
}

impl Slots {
    /// For the joints of a block that reads `input`. Its last map is its output. Two maps that are
    /// needed at the same time never share memory.
    pub(super) fn new(
        joints: &[Joint<'_>],
        input: Value,
        is_map: impl Fn(&Joint<'_>) -> bool,
    ) -> Self {
        let mut slots = HashMap::from([(input, Slot::Current), (Value::IMAGES, Slot::Images)]);
        for joint in joints {
            if let Kind::MultiQueryAttention { .. } = joint.layer.kind {
                let each = [Slot::Query, Slot::Key, Slot::Value];
                slots.extend(joint.layer.src.iter().copied().zip(each));
            }
        }
        // From when it is written to when it is last read, both included.
        let life = |at: usize| {
            let value = joints[at].dst();
            let end = joints.iter().rposition(|joint| joint.reads().any(|read| read == value));
            (at, end.unwrap_or(joints.len()))
        };
        let mut mids: Vec<(usize, usize)> = Vec::new();
        let mut is_last = true;
        for (at, joint) in joints.iter().enumerate().rev().filter(|(_, joint)| is_map(joint)) {
            let value = joint.dst();
            let slot = match (std::mem::replace(&mut is_last, false), slots.get(&value)) {
                (true, _) => Slot::Next,
                // An attention layer's slot.
                (false, Some(slot)) => *slot,
                (false, None) => {
                    let (start, end) = life(at);
                    let is_free = mids.iter().all(|mid| mid.1 < start || end < mid.0);
                    if is_free {
                        mids.push((start, end));
                    }
                    if is_free { Slot::Mid } else { Slot::Side }
                }
            };
            slots.insert(value, slot);
        }
        Self { slots }
    }

    pub(super) fn get(&self, value: Value) -> Option<Slot> {
        self.slots.get(&value).copied()
    }
}
