//! The units of a scan, in the order in which they are coded.

use super::segments::Member;
use super::{Block, Coefficients, Fault, Plane, broken};

/// The most blocks in a unit.
const MAX_BLOCKS: usize = 10;

/// Counts the units between restarts.
pub(super) struct Restarts {
    interval: usize,
    left: usize,
}

impl Restarts {
    pub(super) fn new(interval: usize) -> Self {
        Self { interval, left: interval }
    }

    /// Whether an interval ends before the next unit.
    pub(super) fn due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        let due = self.left == 0;
        if due {
            self.left = self.interval;
        }
        self.left -= 1;
        due
    }
}

/// A block's place in a unit.
pub(super) struct Place {
    /// The component's index in the scan, and in the frame.
    pub(super) member: usize,
    plane: usize,
    column: usize,
    row: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Unit {
    pub(super) row: usize,
    column: usize,
}

/// The units of a scan. A unit is one block of the only component, or as many blocks of each
/// component as its sampling says.
pub(super) struct Units {
    rows: usize,
    columns: usize,
    pub(super) order: Vec<Place>,
    /// For each place, the number of blocks from unit to unit, across and down.
    steps: Vec<[usize; 2]>,
    /// How many rows of these units make one row of units with all components.
    pub(super) rows_of_unit: usize,
}

impl Units {
    pub(super) fn new(image: &Coefficients, members: &[Member]) -> Result<Self, Fault> {
        if let [Member { component, .. }] = members {
            let plane = &image.planes[*component];
            let order = vec![Place { member: 0, plane: *component, column: 0, row: 0 }];
            return Ok(Self {
                rows: plane.rows,
                columns: plane.columns,
                order,
                steps: vec![[1, 1]],
                rows_of_unit: plane.down,
            });
        }
        let (mut order, mut steps) = (Vec::new(), Vec::new());
        for (member, Member { component, .. }) in members.iter().enumerate() {
            let plane = &image.planes[*component];
            for row in 0..plane.down {
                for column in 0..plane.across {
                    order.push(Place { member, plane: *component, column, row });
                    steps.push([plane.across, plane.down]);
                }
            }
        }
        if order.len() > MAX_BLOCKS {
            return Err(broken("too many blocks in a unit"));
        }
        let (rows, columns) = (image.unit_rows, image.unit_columns);
        Ok(Self { rows, columns, order, steps, rows_of_unit: 1 })
    }

    /// The number of restart markers between the units.
    pub(super) fn restarts(&self, interval: usize) -> usize {
        if interval == 0 { 0 } else { (self.rows * self.columns).div_ceil(interval) - 1 }
    }

    pub(super) fn blocks(&self) -> u64 {
        (self.rows * self.columns * self.order.len()) as u64
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Unit> + use<> {
        let columns = self.columns;
        (0..self.rows).flat_map(move |row| (0..columns).map(move |column| Unit { row, column }))
    }

    pub(super) fn block<'p>(
        &self,
        planes: &'p mut [Plane],
        unit: Unit,
        index: usize,
    ) -> &'p mut Block {
        let (place, [across, down]) = (&self.order[index], self.steps[index]);
        let plane = &mut planes[place.plane];
        let row = unit.row * down + place.row;
        &mut plane.blocks[row * plane.stride + unit.column * across + place.column]
    }
}
