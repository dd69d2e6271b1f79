//! Resolves a name, path or id that a person typed to the one item that it means, by listing the items there are.

use jiff::Timestamp;
use nimbus_api::client::{Answer, Client, ClientError, collect};
use nimbus_api::{
    Agent, AgentQuery, ApprovalQuery, Baseline, Incident, IncidentQuery, JobQuery, JoinTokenItem,
    JoinTokenQuery, List, MAX_LIMIT, PageQuery,
};

use crate::error::Failure;
use crate::exit::Exit;
use crate::ids::{self, Candidate, Kind};
use crate::output::time::Clock;

/// Most things that are looked through; of an older one the whole id has to be typed.
pub const MAX_LOOKED_AT: usize = 10_000;

type State = Option<&'static str>;

/// The id of the agent that is meant, by its name, its id, or the start of its id; those that are not revoked come before all
/// others, as the agent of a node's new pod has the name of the one before it.
pub async fn agent(client: &Client, typed: &str) -> Result<String, Failure> {
    if let Some(whole) = ids::whole(ids::AGENT, typed)? {
        return Ok(whole);
    }
    let page = async |after| {
        client.agents(&AgentQuery { limit: Some(MAX_LIMIT), after, ..AgentQuery::default() }).await
    };
    let agents = collect(MAX_LOOKED_AT, page).await?.items;
    agent_among(&agents, typed, &Clock::system())
}

fn agent_among(agents: &[Agent], typed: &str, clock: &Clock) -> Result<String, Failure> {
    let pick = |meant: &dyn Fn(&&Agent) -> bool| {
        let candidates: Vec<Candidate> = agents.iter().filter(meant).map(candidate_of_agent).collect();
        ids::pick(ids::AGENT, typed, &candidates, clock).map(|candidate| candidate.id.clone())
    };
    match pick(&|agent| agent.state != "revoked") {
        Err(failure) if failure.exit == Exit::NotFound => pick(&|_| true),
        picked => picked,
    }
}

fn candidate_of_agent(agent: &Agent) -> Candidate {
    let about = format!("{}, {}", agent.name, agent.state);
    Candidate { name: agent.name.clone(), ..candidate(&agent.id, agent.created_at, &about) }
}

/// The join token that is meant, by its name, its id, the start of its id, or all of itself; those that can be used come before
/// all others. What it is comes from the list: a single one cannot be asked for.
pub async fn token(client: &Client, typed: &str) -> Result<JoinTokenItem, Failure> {
    let typed = id_in_token(typed)?;
    let whole = ids::whole(ids::TOKEN, typed)?;
    let typed = whole.as_deref().unwrap_or(typed);
    let pick = async |state: State| {
        let page = async |after| {
            let state = state.map(str::to_owned);
            client.tokens(&JoinTokenQuery { state, limit: Some(MAX_LIMIT), after }).await
        };
        let tokens = collect(MAX_LOOKED_AT, page).await?.items;
        let known = |token: &JoinTokenItem| {
            let about = format!("{}, {}", token.name, token.state);
            Candidate { name: token.name.clone(), ..candidate(&token.id, token.created_at, &about) }
        };
        let candidates: Vec<Candidate> = tokens.iter().map(known).collect();
        let picked = ids::pick(ids::TOKEN, typed, &candidates, &Clock::system());
        let id = picked.map(|candidate| candidate.id.clone())?;
        let found = tokens.into_iter().find(|token| token.id == id);
        found.ok_or_else(|| Failure::not_found(format!("there is no join token {id}")))
    };
    match pick(Some("usable")).await {
        Err(failure) if failure.exit == Exit::NotFound => pick(None).await,
        picked => picked,
    }
}

/// The longest name of an agent or a token, bytes.
const LONGEST_NAME: usize = 63;

/// The id in a whole join token, `nimbus1.ID.SECRET.FINGERPRINT`: who found one that leaked has that. Its secret is repeated in no
/// message.
///
/// # Errors
/// Where a token is in the text and its id is not to be found, as it would be taken for a name and repeated.
fn id_in_token(typed: &str) -> Result<&str, Failure> {
    // Also where it was written in other letters, or lacks its beginning.
    let begins = typed.to_ascii_lowercase().find("nimbus1.").map(|at| at + "nimbus1.".len());
    let rest = match begins {
        Some(at) => &typed[at..],
        None if typed.starts_with("tok_") && typed.contains('.') => typed,
        // Nothing that is longer than a name is one.
        None if typed.len() > LONGEST_NAME => "",
        None => return Ok(typed),
    };
    let id = rest.split('.').next().unwrap_or_default();
    let digits = id.strip_prefix("tok_").unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id);
    }
    Err(Failure::usage("this looks like a join token, and its id is not to be found in it")
        .expected("nimbus1.tok_….SECRET.FINGERPRINT, a name, or an id of `nimbus agents token list`")
        .found("something else, which is not repeated here")
        .next("list them with `nimbus agents token list`, and give the id"))
}

/// The id of the approval that is meant; the pending ones come before all others.
pub async fn approval(client: &Client, typed: &str) -> Result<String, Failure> {
    let page = async |state: State, after| {
        let state = state.map(str::to_owned);
        client
            .approvals(&ApprovalQuery { state, limit: Some(MAX_LIMIT), after, ..ApprovalQuery::default() })
            .await
    };
    let known = |approval: &nimbus_api::Approval| {
        Some(candidate(&approval.id, approval.created_at, &approval.summary))
    };
    one(ids::APPROVAL, typed, Some("pending"), page, known).await
}

/// The id of the job that is meant.
pub async fn job(client: &Client, typed: &str) -> Result<String, Failure> {
    let page = async |_: State, after| {
        client.jobs(&JobQuery { limit: Some(MAX_LIMIT), after, ..JobQuery::default() }).await
    };
    let known = |job: &nimbus_api::Job| Some(candidate(&job.id, job.created_at, &job.object.name));
    one(ids::JOB, typed, None, page, known).await
}

/// The id of the incident that is meant; those that are not resolved come before all others.
pub async fn incident(client: &Client, typed: &str) -> Result<String, Failure> {
    incidents(client, ids::INCIDENT, typed, |_| true).await
}

/// The id of the drifted file that is meant: drifted files are incidents of their own kind.
pub async fn drift(client: &Client, typed: &str) -> Result<String, Failure> {
    incidents(client, ids::DRIFT, typed, |incident| incident.kind == "file_drift").await
}

/// The id of the accepted baseline that is meant.
pub async fn baseline(client: &Client, typed: &str) -> Result<String, Failure> {
    let page = async |_: State, after| client.baselines(&PageQuery { limit: Some(MAX_LIMIT), after }).await;
    let known = |baseline: &Baseline| {
        let accepted = baseline.change == "accepted";
        accepted.then(|| candidate(&baseline.id, baseline.created_at, &baseline.path))
    };
    one(ids::BASELINE, typed, None, page, known).await
}

async fn incidents(
    client: &Client,
    kind: Kind,
    typed: &str,
    meant: impl Fn(&Incident) -> bool,
) -> Result<String, Failure> {
    let page = async |state: State, after| {
        let state = state.map(str::to_owned);
        client.incidents(&IncidentQuery { state, cluster: None, limit: Some(MAX_LIMIT), after }).await
    };
    let known = |incident: &Incident| {
        meant(incident).then(|| candidate(&incident.id, incident.created_at, &incident.title))
    };
    one(kind, typed, Some("active"), page, known).await
}

fn candidate(id: &str, created_at: Timestamp, about: &str) -> Candidate {
    Candidate { id: id.to_owned(), name: String::new(), created_at, about: about.to_owned() }
}

/// The whole id that `typed` means, among those in the `preferred` state first and then among all.
async fn one<T, C>(
    kind: Kind,
    typed: &str,
    preferred: State,
    page: impl AsyncFn(State, Option<String>) -> Result<Answer<List<T>>, ClientError>,
    known: C,
) -> Result<String, Failure>
where
    C: Fn(&T) -> Option<Candidate>,
{
    if let Some(whole) = ids::whole(kind, typed)? {
        return Ok(whole);
    }
    let pick = async |state: State| {
        let list = collect(MAX_LOOKED_AT, async |after| page(state, after).await).await?;
        let candidates: Vec<Candidate> = list.items.iter().filter_map(&known).collect();
        ids::pick(kind, typed, &candidates, &Clock::system()).map(|candidate| candidate.id.clone())
    };
    if preferred.is_some() {
        match pick(preferred).await {
            Err(failure) if failure.exit == Exit::NotFound => {}
            picked => return picked,
        }
    }
    pick(None).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read};

    fn agent(number: u32, name: &str, state: &str) -> Value {
        let mut agent = crate::view::agents::tests::agent();
        agent["id"] = json!(id("agt", number));
        agent["name"] = json!(name);
        agent["state"] = json!(state);
        agent
    }

    fn found(agents: &Value, typed: &str) -> Result<String, Failure> {
        let agents: Vec<Agent> = read(agents.clone());
        agent_among(&agents, typed, &Clock::system())
    }

    #[test]
    fn a_name_means_the_agent_that_is_not_revoked() {
        let agents = json!([
            agent(1, "node-1", "revoked"),
            agent(2, "node-1", "connected"),
            agent(3, "node-2", "revoked")
        ]);
        assert_eq!(found(&agents, "node-1").unwrap(), id("agt", 2));
        assert_eq!(found(&agents, "node-2").unwrap(), id("agt", 3), "where there is no other it is meant");
        assert_eq!(found(&agents, &id("agt", 1)).unwrap(), id("agt", 1));
    }

    #[test]
    fn several_of_one_name_are_listed_with_their_state() {
        let agents = json!([agent(1, "node-1", "revoked"), agent(2, "node-1", "revoked")]);
        let failure = found(&agents, "node-1").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let said = failure.to_string();
        for expected in ["2 agents are called node-1", &id("agt", 1), &id("agt", 2), "node-1, revoked"] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }

    #[test]
    fn a_whole_join_token_is_known_by_its_id_and_its_secret_goes_no_further() {
        let id = "tok_019b5c2d3e477f6a8b9c0d1e2f3a4b5c";
        for typed in [
            format!("nimbus1.{id}.SECRET.FINGERPRINT"),
            format!(" nimbus1.{id}.SECRET.FINGERPRINT\n"),
            format!("NIMBUS_JOIN_TOKEN=nimbus1.{id}.SECRET.FINGERPRINT"),
            format!("\"nimbus1.{id}.SECRET.FINGERPRINT\""),
        ] {
            assert_eq!(id_in_token(&typed).unwrap(), id);
        }
        for typed in [id, "019b5c2d", "edge-1", "edge.1", ""] {
            assert_eq!(id_in_token(typed).unwrap(), typed);
        }
        for typed in [
            format!("{id}.SECRET.FINGERPRINT"),
            format!("NIMBUS1.{id}.SECRET.FINGERPRINT"),
            format!("token {id} is nimbus1.{id}.SECRET"),
        ] {
            assert_eq!(id_in_token(&typed).unwrap(), id);
        }
        let headless = format!("{}.{}", "5ecret".repeat(8), "f".repeat(64));
        let failure = id_in_token(&headless).unwrap_err().to_string();
        assert!(!failure.contains("5ecret"), "{failure}");
        let failure = id_in_token("nimbus1.5ecret").unwrap_err().to_string();
        assert!(!failure.contains("5ecret"), "{failure}");
    }
}
