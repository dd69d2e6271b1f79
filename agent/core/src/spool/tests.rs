//! Tests of the spool against a disk that may lose its tail at any byte, and a control plane that keeps what it
//! acknowledged.

use std::collections::BTreeMap;

use nimbus_protocol::v1::{self, observation::Body, sync_mark};
use proptest::prelude::*;

use super::{Batch, IoEffect, Limits, Spool};

#[derive(Default, Clone)]
struct Disk {
    /// Bytes, and how many of them are synced.
    files: BTreeMap<u64, (Vec<u8>, usize)>,
}

impl Disk {
    fn run(&mut self, effects: &[IoEffect]) {
        for effect in effects {
            match effect {
                IoEffect::Append { segment, offset, bytes, sync } => {
                    let (file, synced) = self.files.entry(*segment).or_default();
                    assert_eq!(file.len() as u64, *offset, "an append belongs at the end");
                    file.extend_from_slice(bytes);
                    if *sync {
                        *synced = file.len();
                    }
                }
                IoEffect::Delete { segment } => {
                    // A file whose first append failed is not there.
                    self.files.remove(segment);
                }
            }
        }
    }

    fn take(&self, batch: Batch) -> v1::ObservationBatch {
        let read = |r: &super::Read| {
            let from = usize::try_from(r.offset).unwrap();
            self.files[&r.segment].0[from..from + r.length as usize].to_vec()
        };
        let chunks: Vec<Vec<u8>> = batch.reads.iter().map(read).collect();
        batch.assemble(&chunks).unwrap()
    }

    /// What is left after a power cut: of what was not synced, any part.
    fn cut(&mut self, mut anywhere: usize) {
        for (file, synced) in self.files.values_mut() {
            let loose = file.len() - *synced;
            let keep = *synced + anywhere % (loose + 1);
            anywhere /= loose + 1;
            file.truncate(keep);
        }
    }

    fn bytes(&self) -> u64 {
        self.files.values().map(|(file, _)| file.len() as u64).sum()
    }

    fn start(&mut self, limits: Limits) -> Spool {
        let (spool, effects) = Spool::recover(limits, self.files.iter().map(|(n, (f, _))| (*n, f.clone())));
        self.run(&effects);
        spool
    }
}

/// Keeps everything after its high-water mark, as the gateway does.
#[derive(Default)]
struct Server {
    stored: Vec<v1::Observation>,
    mark: u64,
}

impl Server {
    fn take(&mut self, batch: v1::ObservationBatch) {
        assert_eq!(batch.first_sequence, batch.observations[0].sequence);
        for (expected, observation) in (batch.first_sequence..).zip(batch.observations) {
            assert_eq!(observation.sequence, expected, "no gap inside a batch");
            if observation.sequence > self.mark {
                self.mark = observation.sequence;
                self.stored.push(observation);
            }
        }
    }

    fn drain(&mut self, spool: &mut Spool, disk: &mut Disk) {
        let effects = spool.welcome(self.mark);
        disk.run(&effects);
        while let Some(batch) = spool.next_batch(7, 2_000) {
            self.take(disk.take(batch));
        }
        let effects = spool.acknowledge(self.mark);
        disk.run(&effects);
        assert!(spool.is_empty());
    }
}

const SMALL: Limits = Limits { max_bytes: 32 << 10, segment_bytes: 4 << 10, max_records: 150 };

fn state(object: u32, content: u32) -> v1::Observation {
    let meta = v1::ObjectMeta {
        uid: format!("uid-{object}"),
        name: format!("{content}-{}", "x".repeat(200)),
        ..Default::default()
    };
    let pod = v1::Pod { meta: Some(meta), ..Default::default() };
    v1::Observation { cluster_uid: "c".into(), body: Some(Body::Pod(pod)), ..Default::default() }
}

fn mark(phase: sync_mark::Phase) -> v1::Observation {
    let mark = v1::SyncMark { kind: "Pod".into(), phase: phase.into(), lease_term: 1 };
    v1::Observation { cluster_uid: "c".into(), body: Some(Body::Sync(mark)), ..Default::default() }
}

#[derive(Debug, Clone)]
enum Op {
    State(u32, u32),
    Send(usize),
    Ack,
    Reconnect,
    /// The process dies: the last append may be torn.
    Kill(usize),
    /// The power goes: all that was not synced may be torn.
    PowerCut(usize),
    /// The disk refuses the next append.
    Full,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (0u32..40, any::<u32>()).prop_map(|(object, content)| Op::State(object, content)),
        4 => (1usize..20).prop_map(Op::Send),
        3 => Just(Op::Ack),
        1 => Just(Op::Reconnect),
        1 => any::<usize>().prop_map(Op::Kill),
        1 => any::<usize>().prop_map(Op::PowerCut),
        1 => Just(Op::Full),
    ];
    proptest::collection::vec(op, 1..250)
}

/// Carries out all but the appends, which fail.
fn refuse(spool: &mut Spool, disk: &mut Disk, effects: &[IoEffect]) {
    for effect in effects {
        match effect {
            IoEffect::Append { segment, offset, .. } => spool.append_failed(*segment, *offset),
            IoEffect::Delete { segment } => drop(disk.files.remove(segment)),
        }
    }
}

fn story(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let (mut disk, mut server) = (Disk::default(), Server::default());
    let mut spool = disk.start(SMALL);
    let (mut connected, mut may_lose) = (false, false);
    let mut states = Vec::new();
    for op in ops {
        match op {
            Op::State(object, content) => {
                let observation = state(object, content);
                states.push(observation.body.clone());
                let effects = spool.push(observation);
                disk.run(&effects);
            }
            Op::Full => {
                let effects = spool.push(state(0, 0));
                refuse(&mut spool, &mut disk, &effects);
                may_lose = true;
            }
            Op::Send(count) if connected => {
                if let Some(batch) = spool.next_batch(count, 1_500) {
                    server.take(disk.take(batch));
                }
            }
            Op::Ack if connected => {
                let effects = spool.acknowledge(server.mark);
                disk.run(&effects);
            }
            Op::Send(_) | Op::Ack | Op::Reconnect => {
                let effects = spool.welcome(server.mark);
                disk.run(&effects);
                connected = true;
            }
            Op::Kill(at) => {
                let before = disk.clone();
                let effects = spool.push(state(1, 1));
                disk.run(&effects);
                if let [IoEffect::Append { segment, offset, bytes, .. }] = effects.as_slice() {
                    let keep = usize::try_from(*offset).unwrap() + at % bytes.len();
                    disk.files.get_mut(segment).unwrap().0.truncate(keep);
                } else {
                    disk = before;
                }
                (spool, connected) = (disk.start(SMALL), false);
            }
            Op::PowerCut(at) => {
                disk.cut(at);
                (spool, connected, may_lose) = (disk.start(SMALL), false, true);
            }
        }
        may_lose |= spool.dropped() > 0;
        prop_assert!(spool.len() <= SMALL.max_records);
        prop_assert!(spool.bytes() <= SMALL.max_bytes, "{} bytes", spool.bytes());
    }
    // Bytes that the spool counts are those on the disk, but for the rests of failed appends and torn tails.
    prop_assert!(spool.bytes() <= disk.bytes() + 1);
    server.drain(&mut spool, &mut disk);
    let order: Vec<u64> = server.stored.iter().map(|o| o.sequence).collect();
    prop_assert!(order.is_sorted_by(|a, b| a < b));
    let arrived: Vec<_> = server.stored.iter().map(|o| o.body.clone()).collect();
    if !may_lose {
        let arrived: Vec<_> = arrived.into_iter().filter(|b| matches!(b, Some(Body::Pod(_)))).collect();
        let expected = states.into_iter().collect::<Vec<_>>();
        prop_assert!(expected.iter().all(|body| arrived.contains(body)), "a state was lost without a word");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn state_is_never_lost_in_silence(ops in ops()) {
        story(ops)?;
    }
}

#[test]
fn a_cut_at_every_byte_leaves_a_prefix_and_numbers_go_on() {
    let mut disk = Disk::default();
    let mut spool = disk.start(SMALL);
    for content in 0..4 {
        let effects = spool.push(state(content, content));
        disk.run(&effects);
    }
    let whole = disk.files[&1].0.clone();
    for cut in 0..=whole.len() {
        let mut left = Disk::default();
        left.files.insert(1, (whole[..cut].to_vec(), 0));
        let mut spool = left.start(SMALL);
        let count = spool.len() as u64;
        assert_eq!(spool.next_sequence(), count + 1);
        let got = spool.next_batch(100, usize::MAX).map_or(0, |b| left.take(b).observations.len() as u64);
        assert_eq!(got, count);
        assert_eq!(count == 4, cut == whole.len(), "cut at {cut}");
    }
}

#[test]
fn a_sequence_is_not_given_out_again_when_everything_was_acknowledged() {
    let (mut disk, mut server) = (Disk::default(), Server::default());
    let mut spool = disk.start(SMALL);
    for round in 1..=5u64 {
        for content in 0..60 {
            let effects = spool.push(state(content, content));
            disk.run(&effects);
        }
        server.drain(&mut spool, &mut disk);
        assert_eq!(disk.files.len(), 1, "acknowledged segments are gone");
        spool = disk.start(SMALL);
        assert_eq!(spool.next_sequence(), round * 60 + 1);
    }
}

#[test]
fn superseded_state_goes_first_and_needs_no_new_listing() {
    let mut disk = Disk::default();
    let mut spool = disk.start(SMALL);
    for content in 0..300 {
        let effects = spool.push(state(content % 3, content));
        disk.run(&effects);
    }
    assert!(spool.dropped() > 0);
    assert!(!spool.take_needs_resync(), "the newest state of each object is still there");
    for object in 0..300 {
        let effects = spool.push(state(object, 0));
        disk.run(&effects);
    }
    assert!(spool.take_needs_resync(), "unique states were dropped");
    assert!(!spool.take_needs_resync(), "said once");
}

#[test]
fn a_kind_that_stays_unlisted_asks_for_no_new_listing_of_all_kinds() {
    let mut disk = Disk::default();
    let mut spool = disk.start(SMALL);
    // A right that was withdrawn: begun, and never ended.
    let effects = spool.push(mark(sync_mark::Phase::Begin));
    disk.run(&effects);
    for content in 0..300 {
        let effects = spool.push(state(content % 3, content));
        disk.run(&effects);
    }
    assert!(spool.dropped() > 0);
    assert!(!spool.take_needs_resync(), "the newest state of each object is still there");
    // What superseded the dropped parts comes before this end: the listing is whole.
    let (before, effects) = (spool.len(), spool.push(mark(sync_mark::Phase::End)));
    disk.run(&effects);
    assert_eq!(spool.len(), before + 1);
}

#[test]
fn the_end_of_a_listing_that_lost_a_part_is_never_sent() {
    let (mut disk, mut server) = (Disk::default(), Server::default());
    let mut spool = disk.start(SMALL);
    let run = |spool: &mut Spool, disk: &mut Disk, observation| {
        let effects = spool.push(observation);
        disk.run(&effects);
    };
    run(&mut spool, &mut disk, mark(sync_mark::Phase::Begin));
    for object in 0..400 {
        run(&mut spool, &mut disk, state(object, 0));
    }
    run(&mut spool, &mut disk, mark(sync_mark::Phase::End));
    run(&mut spool, &mut disk, mark(sync_mark::Phase::Begin));
    run(&mut spool, &mut disk, state(1, 1));
    run(&mut spool, &mut disk, mark(sync_mark::Phase::End));
    server.drain(&mut spool, &mut disk);
    let ends: Vec<u64> = server
        .stored
        .iter()
        .filter(|o| matches!(&o.body, Some(Body::Sync(m)) if m.phase() == sync_mark::Phase::End))
        .map(|o| o.sequence)
        .collect();
    assert_eq!(ends, [server.mark], "only the whole listing is closed");
}

#[test]
fn a_control_plane_that_knows_more_makes_the_spool_jump_and_list_again() {
    let (mut disk, mut server) = (Disk::default(), Server { mark: 50, ..Server::default() });
    let mut spool = disk.start(SMALL);
    for observation in [state(1, 1), state(2, 2)] {
        let effects = spool.push(observation);
        disk.run(&effects);
    }
    let effects = spool.welcome(50);
    disk.run(&effects);
    assert!(spool.take_needs_resync());
    let effects = spool.push(state(3, 3));
    disk.run(&effects);
    server.drain(&mut spool, &mut disk);
    assert_eq!(server.stored.iter().map(|o| o.sequence).collect::<Vec<_>>(), [51]);
    assert_eq!(disk.start(SMALL).next_sequence(), 52);
}

#[test]
fn one_that_knows_less_than_it_acknowledged_gets_a_new_listing() {
    let (mut disk, mut server) = (Disk::default(), Server::default());
    let mut spool = disk.start(SMALL);
    let effects = spool.push(state(1, 1));
    disk.run(&effects);
    server.drain(&mut spool, &mut disk);
    assert!(!spool.take_needs_resync());
    let effects = spool.welcome(0);
    disk.run(&effects);
    assert!(spool.take_needs_resync());
}

#[test]
fn damage_found_while_reading_back_drops_that_batch_only() {
    let (mut disk, mut server) = (Disk::default(), Server::default());
    let mut spool = disk.start(SMALL);
    for observation in [state(1, 1), state(2, 2)] {
        let effects = spool.push(observation);
        disk.run(&effects);
    }
    let batch = spool.next_batch(2, usize::MAX).unwrap();
    let (first, last) = (batch.first, batch.last);
    let error = batch.assemble(&[vec![0; 40], vec![0; 40]]).unwrap_err();
    assert_eq!(error.expected, 1);
    let effects = spool.unreadable(first, last);
    disk.run(&effects);
    let effects = spool.push(state(3, 3));
    disk.run(&effects);
    server.drain(&mut spool, &mut disk);
    assert_eq!(server.stored.len(), 1);
    assert!(spool.take_needs_resync());
}

#[test]
fn damage_in_the_middle_costs_what_it_hit_and_nothing_behind_it() {
    let mut whole = Disk::default();
    let mut spool = whole.start(SMALL);
    let mut starts = Vec::new();
    let listing = [mark(sync_mark::Phase::Begin), state(1, 1), state(2, 2), mark(sync_mark::Phase::End)];
    for observation in listing.into_iter().chain([state(7, 7)]) {
        starts.push(whole.files[&1].0.len());
        let effects = spool.push(observation);
        whole.run(&effects);
    }
    let (from, to) = (starts[1], starts[2]);
    // In the byte that is left out, the length then points beyond the file, as in a torn tail.
    for at in (from..to).filter(|at| *at != from + 2) {
        let mut disk = whole.clone();
        disk.files.get_mut(&1).unwrap().0[at] ^= 0x80;
        let mut spool = disk.start(SMALL);
        assert!(spool.take_needs_resync(), "byte {at}");
        let mut server = Server::default();
        server.drain(&mut spool, &mut disk);
        let sequences: Vec<u64> = server.stored.iter().map(|o| o.sequence).collect();
        assert_eq!(sequences, [1, 3, 5], "byte {at}: the listing that lost a part is not closed");
    }
    // A torn tail is no damage.
    for length in to + 1..starts[3] {
        let mut disk = whole.clone();
        disk.files.get_mut(&1).unwrap().0.truncate(length);
        let mut spool = disk.start(SMALL);
        assert_eq!((spool.len(), spool.take_needs_resync()), (2, false), "cut at {length}");
    }
}

#[test]
fn an_observation_too_large_for_a_frame_is_dropped_and_counted() {
    let mut disk = Disk::default();
    let mut spool = disk.start(Limits::default());
    let mut large = state(1, 1);
    if let Some(Body::Pod(pod)) = &mut large.body {
        pod.node = "n".repeat(super::MAX_OBSERVATION);
    }
    assert_eq!(spool.push(large), []);
    assert_eq!((spool.len(), spool.dropped()), (0, 1));
}

#[test]
fn a_waiting_observation_takes_32_bytes_of_memory() {
    assert_eq!(std::mem::size_of::<super::queue::Entry>(), 32);
}
