//! The remedy `restore_file`: returns a drifted file to its baseline, after approval.

use nimbus_protocol::action::Body;
use nimbus_protocol::{ObjectKind, v1};

use super::{Answer, Consent, Draft, Footprint, Place, Remedy, report};
use crate::living::Nature;
use crate::model::{
    ActionKind, Alternative, FileFacts, Incident, IncidentKind, Job, JobState, ObjectRef, Outlook,
};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{FileDrift, World};

/// Kinds that can be put back.
pub(super) const RESTORABLE: [&str; 3] = ["file", "symlink", "absent"];
/// Of longer files agents keep no content, bytes.
const MAX_KEPT: u64 = 1 << 20;
/// What an agent says instead of a diff when it holds no copy of a side.
const NOT_KEPT: &str = "content not kept";
/// How the reason of a job begins that was refused because something is not as it has to be.
const UNFIT: &str = "precondition_failed";
/// What such a reason says where the agent has no whole copy of the baseline. That does not pass by itself, as an error
/// while it is read may.
const NO_COPY: [&str; 2] = ["found its kept copy damaged", "it was not kept when the baseline was taken"];

pub(super) struct RestoreFile;

impl Remedy for RestoreFile {
    fn answers(&self) -> &'static [IncidentKind] {
        &[IncidentKind::FileDrift]
    }

    fn needs(&self, _: &Incident) -> &'static [ObjectKind] {
        &[]
    }

    fn consent(&self) -> Consent {
        Consent::Approval
    }

    fn place(&self) -> Place {
        Place::Host
    }

    fn sentence(&self) -> &'static str {
        "puts a watched file back to its baseline: content, mode, owner and attributes"
    }

    fn name(&self) -> &'static str {
        "put the file back"
    }

    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer {
        let path = incident.object.name();
        let Some(drift) = drift(incident, s.world) else {
            return Answer::Wait(format!(
                "{path}: no difference is reported any more; resolved when that is certain"
            ));
        };
        if drift.current.kind == "unreadable" || drift.baseline.kind == "unreadable" {
            return Answer::Recommend(format!(
                "{path} cannot be read{}: give the agent read access, or take the path out of the watched roots",
                if drift.problem.is_empty() { String::new() } else { format!(" ({})", drift.problem) }
            ));
        }
        // Before all advice that ends with accepting it.
        if agent_refuses_to_accept(drift) {
            return Answer::Recommend(format!(
                "{path} can neither be put back nor be the new baseline, since its present attributes are not known: {}; \
                 look at what it has (`getfattr -d -m -`) and take away what should not be there; asked again when they \
                 can be read",
                drift.problem
            ));
        }
        if let Some(why) = lives(incident, drift, s.world) {
            return Answer::Recommend(why);
        }
        if let Some(kind) = unsupported(drift) {
            return Answer::Recommend(format!(
                "{path} is or was of kind {kind}: only regular files and symbolic links are put back; put it right by hand, or \
                 {}",
                or_accept(drift)
            ));
        }
        match &drift.restore {
            Some(outlook) if !outlook.obstacle.is_empty() => {
                return Answer::Recommend(format!(
                    "{path} cannot be put back: {}; put it right by hand, or {}; asked again when that is out of the way",
                    outlook.reason,
                    or_accept(drift)
                ));
            }
            // It knows better than what follows from sizes.
            Some(_) => return ask_or_say_why_not(incident, drift, s),
            None => {}
        }
        if !is_kept(drift) {
            return Answer::Recommend(format!(
                "{path} cannot be put back: its agent keeps no copy of what was accepted ({} bytes; content is kept of \
                 files up to 1 MiB, while there is room); put it right from where it came from, or accept it as it is: \
                 `nimbus drift baseline add ID`",
                drift.sizes.0
            ));
        }
        if drift.sizes.1 > MAX_KEPT {
            return Answer::Recommend(format!(
                "{path} is {} bytes long now: an agent replaces or removes nothing that it cannot keep a copy of, which is \
                 up to 1 MiB; put it right by hand, or accept it as it is: `nimbus drift baseline add ID`",
                drift.sizes.1
            ));
        }
        ask_or_say_why_not(incident, drift, s)
    }

    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>> {
        matches!(action, Body::RestoreFile(_)).then_some(Footprint { node: None, holds: false })
    }

    fn verify_ms(&self, settings: &Settings) -> u32 {
        settings.file_verify_ms.min(settings.verify_ms)
    }

    fn verify_timeout_ms(&self, settings: &Settings) -> u32 {
        settings.verify_timeout_ms
    }
}

/// The restore, unless the very same one was tried: what an agent refused or what did not last is not asked again until
/// the file, its baseline or what stands in the way is another.
fn ask_or_say_why_not(incident: &Incident, drift: &FileDrift, s: &Snapshot<'_>) -> Answer {
    let answer = restore(drift);
    let tried: Vec<&Job> = s
        .all_jobs()
        .filter(|job| job.incident_id == incident.id && job.action == ActionKind::RestoreFile)
        .filter(|job| job.finished_at.is_some_and(|at| at >= drift.said_at))
        .filter(|job| s.plan(job.plan_id).and_then(|plan| plan.action.body()) == Some(&answer.action))
        .collect();
    let unfit = |job: &&&Job| job.state == JobState::Refused && job.reason.starts_with(UNFIT);
    let refused = tried.iter().filter(unfit).count();
    let no_copy =
        tried.iter().filter(unfit).any(|job| NO_COPY.iter().any(|words| job.reason.contains(words)));
    let times = if refused == 1 { "once".to_owned() } else { format!("{refused} times") };
    let path = &drift.path;
    match tried.into_iter().max_by_key(|job| job.finished_at) {
        // Once may have been bad luck, such as a full disk below the agent's own journal.
        Some(job) if refused >= 2 || no_copy => Answer::Recommend(format!(
            "{path} was not put back, {times}: {}; asked again when the file or what is in the way changes",
            job.reason
        )),
        Some(job)
            if job.applied_at.is_some() && matches!(job.state, JobState::Failed | JobState::Compensated) =>
        {
            Answer::Recommend(format!(
                "{path} was put back and did not stay so: something else writes it. Find what does (configuration \
                 management, a package, a service), or accept it as it is: `nimbus drift baseline add ID`; asked again when \
                 it is written otherwise"
            ))
        }
        _ => Answer::Act(Box::new(answer)),
    }
}

/// Can the agent hold what would be put back? It reads its copy before anything else, also where only mode or owner
/// differ, and refuses without it. Of what stands there now it reads the content at once if that is a regular file:
/// beside one, or beside nothing, the missing copy is the baseline's. A link's side it never shows.
fn is_kept(drift: &FileDrift) -> bool {
    let says_no = drift.diff_withheld == NOT_KEPT && matches!(drift.current.kind.as_str(), "file" | "absent");
    drift.baseline.kind != "file" || !(says_no || drift.sizes.0 > MAX_KEPT)
}

/// How a person accepts what is there; what cannot be read of it stays unknown, and that is said beforehand.
fn or_accept(drift: &FileDrift) -> &'static str {
    if report::attributes_unread(drift) {
        "accept it without its attributes, which cannot be read, so that they are not known and no longer compared: \
         `nimbus drift baseline add ID`"
    } else {
        "accept it as it is: `nimbus drift baseline add ID`"
    }
}

/// Is it a file whose attributes, such as a capability, cannot be read? Its agent refuses to accept it: nobody accepts unseen
/// what it has.
pub(super) fn agent_refuses_to_accept(drift: &FileDrift) -> bool {
    drift.current.kind == "file" && report::attributes_unread(drift)
}

/// What an incident's file is like now.
pub(super) fn drift<'a>(incident: &Incident, world: &'a World) -> Option<&'a FileDrift> {
    world.hosts.get(&incident.scope.host()?)?.drift_of(incident.object.name())
}

/// Why nobody is asked to put back a file that lives: it is written all the time, or only a part of what changed.
fn lives(incident: &Incident, drift: &FileDrift, world: &World) -> Option<String> {
    let facts = world.hosts.get(&incident.scope.host()?)?;
    let path = &drift.path;
    let nature = drift.nature();
    let is = nature.words();
    let lines = match drift.lines_lost {
        0 => "what was written since".to_owned(),
        1 => "1 line that was written since".to_owned(),
        more => format!("{more} lines that were written since"),
    };
    let leave_out =
        format!("leave it out of what is watched (`--exclude {path}` of `nimbus-agent` or `nimbus up`)");
    match nature {
        Nature::Log => {
            return Some(format!(
                "{path} is {is}: it is written all the time, and a restore would lose {lines}; {leave_out}"
            ));
        }
        Nature::Volume => {
            let dir = incident.object.name().trim_end_matches("/..data");
            return Some(format!(
                "{dir} is {is}: a part of it that is put back would break the rest; change the ConfigMap or Secret that it \
                 comes from, and leave {dir} out of what is watched (`--exclude {dir}` of `nimbus-agent` or `nimbus up`)"
            ));
        }
        Nature::Editor | Nature::Unpacked => {
            return Some(format!(
                "{path} is {is} and has been there since {:.0}: somebody may be at work, so nobody is asked to remove it; \
                 finish that work or remove it by hand",
                drift.since
            ));
        }
        Nature::Plain | Nature::Leftover => {}
    }
    let left = facts.belonging_to(incident.object.name()).find(|other| other.nature() == Nature::Leftover);
    if let Some(left) = left {
        return Some(format!(
            "{} is {}: look at both, keep what is right, remove the other by hand, and accept the result: \
             `nimbus drift baseline add ID`",
            left.path,
            Nature::Leftover.words()
        ));
    }
    let times = drift.lives(facts.sample.as_ref().map(|sample| sample.at))?;
    Some(format!(
        "{path} changed {times} times within 10 min: it is written all the time, and a restore would lose {lines}; if that \
         is its use, {leave_out}; asked once it was at rest for 10 min"
    ))
}

/// The kind on either side that cannot be handled, if any.
fn unsupported(drift: &FileDrift) -> Option<&str> {
    [drift.baseline.kind.as_str(), drift.current.kind.as_str()].into_iter().find(|k| !RESTORABLE.contains(k))
}

/// What a restore does, in words: where the content is the same, exactly what differs beside it.
fn what(drift: &FileDrift) -> String {
    let (then, now) = (&drift.baseline, &drift.current);
    let same_content = then.kind == now.kind && then.sha256 == now.sha256;
    let beside = if same_content { beside(then, now) } else { Vec::new() };
    match (then.kind.as_str(), now.kind.as_str(), beside.as_slice()) {
        ("absent", _, _) => "remove".to_owned(),
        (_, "absent", _) => "bring back".to_owned(),
        (_, _, []) => "put back".to_owned(),
        (_, _, [one]) => format!("put back {one} of"),
        (_, _, [first @ .., last]) => format!("put back {} and {last} of", first.join(", ")),
    }
}

/// What differs beside the content, each in a word.
fn beside(then: &FileFacts, now: &FileFacts) -> Vec<&'static str> {
    let differs = [
        (then.mode != now.mode, "mode"),
        ((then.uid, then.gid) != (now.uid, now.gid), "owner"),
        (then.attributes_sha256 != now.attributes_sha256, "attributes"),
    ];
    differs.into_iter().filter(|(differs, _)| *differs).map(|(_, word)| word).collect()
}

fn restore(drift: &FileDrift) -> Draft {
    Draft {
        action: Body::RestoreFile(v1::RestoreFile {
            root: drift.root.clone(),
            path: drift.path.clone(),
            expect_current: Some(drift.current.clone()),
            restore_to: Some(drift.baseline.clone()),
        }),
        object: ObjectRef::File { path: drift.path.clone() },
        workload: None,
        summary: format!("{} {}", what(drift), drift.path),
        changes: report::restore(drift),
        outlook: Outlook::not_undone(
            "Nimbus keeps no copy of the file as it is now; make one first where it may be needed",
            "a file that is not as this plan saw it is left alone. A file that is changed again while it is watched \
             afterwards stays as it is then: the job fails with that reason, and the next try is decided on as this one was",
        ),
        rationale: "the baseline is what was accepted as true; the agent holds its content".to_owned(),
        ways: vec![
            Alternative::new(
                "put the file back",
                true,
                "it differs from what was accepted as true; a person decides",
            ),
            Alternative::new("leave it", false, "the drift would stay"),
        ],
    }
}
