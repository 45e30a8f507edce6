"""Every hour from Airflow 3: submits, follows the log, and is red only where a person is needed.

There are no retries: files that failed are known to a second run, which would be green.
"""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="timereel",
    schedule="7 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 0},
):
    BashOperator(
        task_id="index",
        bash_command=(
            "timereel submit s3://archive/cameras --index s3://archive/index "
            "--config /etc/timereel.yaml --since 26h --cluster http://head:8265"
        ),
        append_env=True,  # the token of the cluster: RAY_AUTH_MODE, RAY_AUTH_TOKEN
        # A spent budget (6) and outstanding footage (7) are for the next run.
        skip_on_exit_code=[6, 7],
    )
