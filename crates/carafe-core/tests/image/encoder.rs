//! A small JPEG encoder for images whose units each have one colour: any size, any sampling,
//! baseline or progressive.
//!
//! Blocks have a DC coefficient alone; a progressive file says so in scans of the others.
//!
//! With DC coefficients alone a block is its difference to the one before, and the whole Huffman
//! table fits in a line.

/// Blocks of one component in a unit: across, down.
pub(crate) type Sampling = (u32, u32);

/// An image to encode.
pub(crate) struct Jpeg<'a> {
    pub(crate) sampling: &'a [Sampling],
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) progressive: bool,
    /// Whether each component has a scan of its own, where a progressive file has one for all DC
    /// coefficients.
    pub(crate) one_scan_each: bool,
    /// Level of a component (0 to 255) in the unit at this column and row.
    pub(crate) level: &'a dyn Fn(usize, u32, u32) -> i32,
}

impl Jpeg<'_> {
    /// Width and height of a unit in pixels.
    pub(crate) fn unit(&self) -> (u32, u32) {
        let largest = self.sampling.iter().fold((1, 1), |(h, v), &(across, down)| (h.max(across), v.max(down)));
        (largest.0 * 8, largest.1 * 8)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let count = self.sampling.len() as u8;
        let mut file = vec![0xff, 0xd8];
        let quantisation: Vec<u8> = [0].into_iter().chain([8; 64]).collect();
        segment(&mut file, 0xdb, &quantisation);
        let mut frame = vec![8];
        frame.extend((self.height as u16).to_be_bytes());
        frame.extend((self.width as u16).to_be_bytes());
        frame.push(count);
        frame.extend((1..).zip(self.sampling).flat_map(|(id, &(across, down))| [id, (across << 4 | down) as u8, 0]));
        segment(&mut file, if self.progressive { 0xc2 } else { 0xc0 }, &frame);
        // Categories 0 to 11 with codes of 4 bits; end of block with a code of 1 bit.
        segment(
            &mut file,
            0xc4,
            &[0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        );
        segment(&mut file, 0xc4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let last_coefficient = if self.progressive { 0 } else { 63 };
        let all: Vec<u8> = (1..=count).collect();
        if self.one_scan_each {
            for (index, id) in all.iter().enumerate() {
                scan(&mut file, &[*id], [0, last_coefficient], &self.blocks_of(index));
            }
        } else {
            scan(&mut file, &all, [0, last_coefficient], &self.blocks());
        }
        if self.progressive {
            for (id, sampling) in (1..).zip(self.sampling) {
                scan(&mut file, &[id], [1, 63], &self.ends(*sampling));
            }
        }
        file.extend([0xff, 0xd9]);
        file
    }

    /// Columns and rows of blocks in a scan that a component has for itself.
    fn size(&self, (across, down): Sampling) -> (u32, u32) {
        let (unit_across, unit_down) = self.unit();
        ((self.width * across).div_ceil(unit_across), (self.height * down).div_ceil(unit_down))
    }

    /// A bit for each block of a component: no other coefficients.
    fn ends(&self, sampling: Sampling) -> Vec<u8> {
        let (columns, rows) = self.size(sampling);
        let mut bits = Bits::default();
        (0..columns * rows).for_each(|_| bits.push(0, 1));
        bits.finish()
    }

    /// All blocks of one component of a file that is not progressive.
    fn blocks_of(&self, component: usize) -> Vec<u8> {
        let (across, down) = self.sampling[component];
        let (columns, rows) = self.size((across, down));
        let mut bits = Bits::default();
        let mut before = 0;
        for (y, x) in places(columns, rows) {
            let level = (self.level)(component, x / across, y / down) - 128;
            bits.push_difference(level - before);
            bits.push(0, 1);
            before = level;
        }
        bits.finish()
    }

    fn blocks(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        let mut before = vec![0; self.sampling.len()];
        let (across, down) = self.unit();
        for (y, x) in places(self.width.div_ceil(across), self.height.div_ceil(down)) {
            for (component, (across, down)) in self.sampling.iter().enumerate() {
                for _ in 0..across * down {
                    let level = (self.level)(component, x, y) - 128;
                    bits.push_difference(level - before[component]);
                    if !self.progressive {
                        bits.push(0, 1);
                    }
                    before[component] = level;
                }
            }
        }
        bits.finish()
    }
}

/// Rows and columns, row by row.
pub(crate) fn places(columns: u32, rows: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..rows).flat_map(move |y| (0..columns).map(move |x| (y, x)))
}

/// A scan of all bits of coefficients from the first to the last.
fn scan(file: &mut Vec<u8>, ids: &[u8], [first, last]: [u8; 2], data: &[u8]) {
    let components = ids.iter().flat_map(|id| [*id, 0]);
    let header: Vec<u8> = [ids.len() as u8].into_iter().chain(components).chain([first, last, 0]).collect();
    segment(file, 0xda, &header);
    file.extend(data);
}

fn segment(file: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((payload.len() as u16 + 2).to_be_bytes());
    file.extend(payload);
}

/// Bits, most significant first, with `00` after each `ff`.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    buffer: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            self.buffer = self.buffer << 1 | (value >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.buffer as u8);
                if self.buffer == 0xff {
                    self.bytes.push(0);
                }
                (self.buffer, self.count) = (0, 0);
            }
        }
    }

    /// The category of a difference, then its bits.
    fn push_difference(&mut self, difference: i32) {
        let category = 32 - difference.unsigned_abs().leading_zeros();
        self.push(category, 4);
        let bits = if difference < 0 { difference - 1 } else { difference };
        self.push(bits as u32, category);
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.push(1, 1);
        }
        self.bytes
    }
}
