//! A disk that remembers what was written and what was synced, so that power can be
//! cut at any moment afterwards.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// Both halves of a torn write end on such a boundary.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    image: Vec<u8>,
    trace: Vec<Event>,
    /// The sync from now on that does its work and reports a failure.
    failing_sync: Option<usize>,
}

#[derive(Debug, Clone)]
enum Event {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

/// What becomes of a write that was not synced when the power went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Each sector by itself, as this number decides.
    Torn(u64),
}

impl Disk {
    /// A disk that holds this.
    pub(super) fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { image, ..State::default() })))
    }

    pub(super) fn fail_sync(&self, number: usize) {
        self.state().failing_sync = Some(number);
    }

    pub(super) fn image(&self) -> Vec<u8> {
        self.state().image.clone()
    }

    /// How many events there have been.
    pub(super) fn now(&self) -> usize {
        self.state().trace.len()
    }

    /// What a disk that began empty holds when power is cut before event `at`.
    pub(super) fn after_power_cut(&self, at: usize, fate: Fate) -> Vec<u8> {
        let state = self.state();
        let trace = &state.trace[..at];
        let synced = trace.iter().rposition(|event| matches!(event, Event::Sync)).unwrap_or(0);
        let mut image = Vec::new();
        let mut dice = Dice(match fate {
            Fate::Torn(seed) => seed,
            Fate::Lost | Fate::Kept => 0,
        });
        for (number, event) in trace.iter().enumerate() {
            let mut arrives = || {
                number < synced
                    || match fate {
                        Fate::Lost => false,
                        Fate::Kept => true,
                        Fate::Torn(_) => dice.throw(),
                    }
            };
            match event {
                Event::Sync => {}
                Event::SetLength(length) => {
                    if arrives() {
                        resize(&mut image, *length);
                    }
                }
                Event::Write(offset, bytes) => {
                    let mut offset = usize::try_from(*offset).unwrap();
                    for sector in bytes.chunks(SECTOR) {
                        if arrives() {
                            let end = offset + sector.len();
                            image.resize(image.len().max(end), 0);
                            image[offset..end].copy_from_slice(sector);
                        }
                        offset += sector.len();
                    }
                }
            }
        }
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn resize(image: &mut Vec<u8>, length: u64) {
    image.resize(usize::try_from(length).unwrap(), 0);
}

/// SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn throw(&mut self) -> bool {
        self.number() & 1 == 1
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let state = self.state();
        let found = state.image.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.trace.push(Event::SetLength(length));
        resize(&mut state.image, length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.trace.push(Event::Sync);
        match state.failing_sync.take() {
            Some(0) => return Err(io::Error::other("the disk is failing")),
            left => state.failing_sync = left.map(|left| left - 1),
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.trace.push(Event::Write(offset, bytes.to_vec()));
        let start = usize::try_from(offset).unwrap();
        state.image[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
