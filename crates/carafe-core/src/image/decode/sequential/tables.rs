//! What the segments of a file say before its scan: size, components, steps and codes.
//!
//! [`Header`](super::super::jpeg_header::Header) has walked over the same segments, so their lengths are right; what is in them is checked
//! here.

use std::sync::Arc;

use super::super::super::Error;
use super::damaged;
use super::huffman::Codes;

/// One component: its blocks in a unit, its steps and its codes.
pub(super) struct Component {
    pub(super) across: usize,
    pub(super) down: usize,
    /// In the order of the file.
    pub(super) steps: Arc<[i16; 64]>,
    pub(super) dc: Arc<Codes>,
    pub(super) ac: Arc<Codes>,
}

/// All that is needed to decode the one scan.
pub(super) struct Tables {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Luma first; one component is grey.
    pub(super) components: Vec<Component>,
    /// Units between restart markers; 0 if there are none.
    pub(super) restart: usize,
    /// Where the entropy-coded bytes begin.
    pub(super) scan: usize,
}

const QUANTISATION: u8 = 0xdb;
const HUFFMAN: u8 = 0xc4;
const RESTART: u8 = 0xdd;
const ADOBE: u8 = 0xee;
const SCAN: u8 = 0xda;

/// What has been defined so far.
#[derive(Default)]
struct Defined {
    frame: Option<Frame>,
    steps: [Option<Arc<[i16; 64]>>; 4],
    dc: [Option<Arc<Codes>>; 4],
    ac: [Option<Arc<Codes>>; 4],
    restart: usize,
}

struct Frame {
    width: usize,
    height: usize,
    /// Id, blocks across and down, number of the steps.
    components: Vec<[u8; 4]>,
}

impl Tables {
    /// Reads the segments up to the first scan. Nothing if this is a kind of file that is left to another decoder.
    pub(super) fn read(bytes: &[u8]) -> Option<Result<Self, Error>> {
        let mut defined = Defined::default();
        let mut position = 2;
        loop {
            // The walk before this has seen every marker and every length.
            position += bytes.get(position..)?.iter().take_while(|byte| **byte == 0xff).count();
            let [marker, high, low] = *bytes.get(position..)?.first_chunk()?;
            let end = position + 1 + usize::from(u16::from_be_bytes([high, low]));
            let payload = bytes.get(position + 3..end)?;
            let read = match marker {
                0xc0 | 0xc1 => defined.frame(payload)?,
                // What an Adobe segment says of the colours is the other decoder's business.
                0xc2 | ADOBE => return None,
                QUANTISATION => defined.steps(payload),
                HUFFMAN => defined.codes(payload),
                RESTART => defined.restart(payload),
                SCAN => return defined.scan(payload, end),
                _ => Ok(()),
            };
            if let Err(error) = read {
                return Some(Err(error));
            }
            position = end;
        }
    }
}

impl Defined {
    /// The frame's size and components; nothing unless colours are sampled as libjpeg's interpolation is followed here.
    fn frame(&mut self, payload: &[u8]) -> Option<Result<(), Error>> {
        let &[8, h1, h0, w1, w0, _, ref parts @ ..] = payload else { return None };
        let (height, width) = (u16::from_be_bytes([h1, h0]).into(), u16::from_be_bytes([w1, w0]).into());
        let split = |part: &[u8; 3]| [part[0], part[1] >> 4, part[1] & 15, part[2]];
        let mut components: Vec<[u8; 4]> = parts.as_chunks().0.iter().map(split).collect();
        match components.as_mut_slice() {
            // A component that is alone has one block in a unit, whatever it says.
            [[_, across, down, _]] => (*across, *down) = (1, 1),
            // libjpeg does not interpolate what is as narrow as this.
            [[_, 2, 1 | 2, _], [_, 1, 1, _], [_, 1, 1, _]] if width > 4 => {}
            [[_, 1, 1, _], [_, 1, 1, _], [_, 1, 1, _]] => {}
            _ => return None,
        }
        // Such ids say that the colours are what their letters are.
        if components.iter().map(|component| component[0]).eq(*b"RGB") {
            return None;
        }
        self.frame = Some(Frame { width, height, components });
        Some(Ok(()))
    }

    fn steps(&mut self, mut payload: &[u8]) -> Result<(), Error> {
        let cut = || damaged("a table of steps is cut off");
        while let Some((&kind, rest)) = payload.split_first() {
            let bytes = if kind >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes).ok_or_else(cut)?;
            let mut steps = [0; 64];
            for (step, value) in steps.iter_mut().zip(values.chunks_exact(bytes)) {
                *step = value.iter().fold(0, |step, byte| step << 8 | i16::from(*byte));
            }
            let place = self.steps.get_mut(usize::from(kind & 15));
            *place.ok_or_else(|| damaged("a table of steps has an unknown number"))? = Some(Arc::new(steps));
            payload = rest;
        }
        Ok(())
    }

    fn codes(&mut self, mut payload: &[u8]) -> Result<(), Error> {
        let cut = || damaged("a table of codes is cut off");
        while let Some((&kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
            let count = counts.iter().map(|count| usize::from(*count)).sum();
            let (values, rest) = rest.split_at_checked(count).ok_or_else(cut)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(kind & 15));
            let place = place.ok_or_else(|| damaged("a table of codes has an unknown number"))?;
            *place = Some(Arc::new(Codes::new(counts, values)?));
            payload = rest;
        }
        Ok(())
    }

    fn restart(&mut self, payload: &[u8]) -> Result<(), Error> {
        let &[high, low] = payload else { return Err(damaged("its restart interval has a wrong length")) };
        self.restart = u16::from_be_bytes([high, low]).into();
        Ok(())
    }

    /// The tables for a scan that has all components; nothing if it has not, or if they are in another order.
    fn scan(self, payload: &[u8], scan: usize) -> Option<Result<Tables, Error>> {
        let frame = self.frame.as_ref()?;
        let (&count, rest) = payload.split_first()?;
        let (chosen, _) = rest.as_chunks::<2>();
        let chosen = chosen.get(..usize::from(count))?;
        let ids = frame.components.iter().map(|component| component[0]);
        if !chosen.iter().map(|chosen| chosen[0]).eq(ids) {
            return None;
        }
        let components = frame.components.iter().zip(chosen);
        let components = components.map(|(component, chosen)| self.component(component, chosen[1]));
        let components: Result<Vec<_>, _> = components.collect();
        let (width, height, restart) = (frame.width, frame.height, self.restart);
        Some(components.map(|components| Tables { width, height, components, restart, scan }))
    }

    fn component(&self, &[_, across, down, steps]: &[u8; 4], codes: u8) -> Result<Component, Error> {
        let missing = || damaged("a table that its data needs is missing");
        let steps = self.steps.get(usize::from(steps)).cloned().flatten().ok_or_else(missing)?;
        let dc = self.dc.get(usize::from(codes >> 4)).cloned().flatten().ok_or_else(missing)?;
        let ac = self.ac.get(usize::from(codes & 15)).cloned().flatten().ok_or_else(missing)?;
        Ok(Component { across: across.into(), down: down.into(), steps, dc, ac })
    }
}
