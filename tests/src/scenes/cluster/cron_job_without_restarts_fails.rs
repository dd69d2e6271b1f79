//! `tests/scenes/cron_job_without_restarts_fails.md`

use serde_json::json;

use crate::scenes::ground::Ground;
use crate::scenes::objects::{apply, named};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let mut cron = named("batch/v1", "CronJob", "report");
    // More failed runs are kept than the default of one, so that none goes while the scene stands.
    cron["spec"] = json!({"schedule": "0 0 1 1 *", "failedJobsHistoryLimit": 5, "jobTemplate": {"spec": {
        "backoffLimit": 0,
        "template": {
            "metadata": {"labels": {"app": "report"}, "annotations": {"rig.nimbus.dev/crash": "always"}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "app", "image": "registry.example/report:1"}],
            },
        },
    }}});
    apply(&ground.work, &cron).await?;
    for run in 1..=3 {
        // As the schedule would, only sooner: kubectl makes the Job with the CronJob as its owner.
        let job = format!("report-{run}");
        let words = ["-n", ground.namespace(), "create", "job", &job, "--from=cronjob/report"];
        ground.stage.cluster.kubectl(&words).await?;
    }
    ground.recommends(&["report", "3 failed", "BackoffLimitExceeded", "logs job/report-"]).await?;
    ground.at_most_open(1).await
}
