//! `GET /api/v1/clusters/{cluster}/drain`: answers what draining nodes would do.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use nimbus_api::{DrainQuery, DrainStep, NodeDrain, PodInTheWay, PodPlace};
use nimbus_control_core::model;
use nimbus_control_core::nodes::{self, Drained, MOST_NODES, MOST_PODS, Unanswered, Verdict};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, Segment};
use crate::rest::lists;
use crate::rest::view::number;

/// Questions that are answered at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What draining nodes would do: whether it finishes, what is in the way, the fewest changes, and the rounds
#[utoipa::path(
    get, path = "/api/v1/clusters/{cluster}/drain", operation_id = "drain", tag = "clusters",
    params(("cluster" = String, Path, description = "UID or name"), DrainQuery),
    responses((status = 200, description = "The answer; nothing is changed", body = NodeDrain))
)]
pub async fn drain(
    State(app): State<Arc<App>>,
    Segment(cluster): Segment,
    Params(query): Params<DrainQuery>,
) -> Result<Json<NodeDrain>, ApiError> {
    let found: model::Versioned<model::Cluster> =
        lists::by_id_or_name(&app, &cluster, None, "cluster", super::REMEDY).await?;
    let uid = found.doc.uid;
    // Whoever waits longer than a request may is answered so by the limits of all requests.
    let Ok(turn) = AT_ONCE.acquire().await else {
        return Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A defect",
            "no turn was found",
        ));
    };
    let answered = {
        let app = Arc::clone(&app);
        let uid = uid.clone();
        // It takes up to a second or two of a processor for many pods on few nodes: not from those who answer others.
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let names: BTreeSet<&str> =
                query.nodes.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
            let question = {
                let connected = app.sessions.connected();
                let world = app.view.read();
                let inventory = world.clusters.get(&uid).ok_or_else(unseen)?;
                let is_watched = inventory.leader.is_some_and(|leader| connected.contains(&leader));
                nodes::draining(inventory, &names, is_watched, &app.settings, app.now())
            };
            // Without the world: what agents say goes on being taken in meanwhile.
            let drained = question.map_err(|why| refused(&why))?.answer();
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Ok::<_, ApiError>((names, drained))
        })
    };
    let answered = answered.await.map_err(|error| {
        tracing::error!(%error, "what draining nodes would do could not be answered");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A defect", "no answer was found")
    })?;
    let (names, drained) = answered?;
    Ok(Json(document(uid, names, drained)))
}

fn unseen() -> ApiError {
    ApiError::not_found("inventory of that cluster", "yet", "wait until an agent has listed its objects")
}

fn refused(why: &Unanswered) -> ApiError {
    match why {
        Unanswered::NoNode(name) => {
            ApiError::not_found("node", name, "`kubectl get nodes` shows those that there are")
        }
        Unanswered::Count(count) => {
            ApiError::invalid("nodes", format!("1 to {MOST_NODES} names of nodes"), count.to_string())
        }
        Unanswered::Pods(count) => ApiError::invalid(
            "nodes",
            format!("nodes with {MOST_PODS} pods at most in all"),
            count.to_string(),
        ),
        Unanswered::NotListed(kind) => ApiError::new(
            StatusCode::CONFLICT,
            "not_known",
            "Not known",
            format!("not every {kind} of the cluster is known"),
        )
        .expected("an agent that lists them all")
        .found("one that may not, or has not yet")
        .remedy("look at the agent's problems: nimbus agents list"),
    }
}

fn document(cluster: String, nodes: Vec<String>, drained: Drained) -> NodeDrain {
    NodeDrain {
        cluster,
        nodes,
        verdict: word(drained.verdict).to_owned(),
        going: number(drained.going),
        staying: number(drained.staying),
        in_the_way: drained
            .in_the_way
            .into_iter()
            .map(|one| PodInTheWay { pod: one.pod, node: one.node, why: one.why })
            .collect(),
        in_the_way_left_out: number(drained.in_the_way_left_out),
        without_room: number(drained.without_room),
        not_known: drained.not_known,
        changes: drained.changes,
        changes_are_fewest: drained.changes_are_fewest,
        rounds: drained.rounds,
        takes_ms: drained.takes_ms,
        places: drained.places.into_iter().map(|(pod, node)| PodPlace { pod, node }).collect(),
        one_by_one: drained
            .one_by_one
            .into_iter()
            .map(|step| DrainStep { node: step.node, verdict: word(step.verdict).to_owned(), why: step.why })
            .collect(),
    }
}

/// The word of a verdict.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Finishes => "finishes",
        Verdict::Blocked => "blocked",
        Verdict::NotKnown => "not_known",
    }
}
