//! `tests/scenes/job_pod_crashes.md`

use serde_json::json;

use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, named};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let mut job = named("batch/v1", "Job", "import");
    job["spec"] = json!({"backoffLimit": 100, "template": {
        "metadata": {"labels": {"app": "import"}, "annotations": {"rig.nimbus.dev/crash": "always"}},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "app", "image": "registry.example/import:1"}],
        },
    }});
    apply(&ground.work, &job).await?;
    ground.crash_loops("import", 1).await?;
    ground.recommends(&["import"]).await?;
    ground.at_most_open(1).await
}
