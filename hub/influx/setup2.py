"""InfluxDB 2.x prepared with influxdb-client: organization, buckets, retention, DBRP mappings, tasks.

The client is imported here alone: it takes 300 ms and 51 MB.
"""

from http.client import NOT_FOUND
from typing import Any

from influxdb_client import (
    Bucket,
    BucketRetentionRules,
    DBRPCreate,
    DBRPsService,
    InfluxDBClient,
    TaskCreateRequest,
    TaskUpdateRequest,
)
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from hub.config_store import StoreTable
from hub.influx.place import DOWNSAMPLED, place_of
from hub.influx.rollups import WIDTHS_MS, flux_task, measurement
from hub.influx.setup import Plan, SetupError, days, refused

RAW_POLICY = "autogen"      # what a query without a policy means, as in 1.x


def prepare2(store: StoreTable, plan: Plan, admin: str) -> None:
    """Raises SetupError."""
    try:
        with InfluxDBClient(store.url, token=admin or store.token, org=store.org) as client:
            _Setup2(client, store, plan).run()
    except ApiException as err:
        raise SetupError(f"{store.url}: {refused(err.status, str(err.body or err.reason))}") from err
    except HTTPError as err:
        raise SetupError(f"{store.url}: {err}") from err


class _Setup2:
    def __init__(self, client: InfluxDBClient, store: StoreTable, plan: Plan) -> None:
        self._client = client
        self._store = store
        self._plan = plan
        self._database = place_of(store).database
        self._bucket = store.bucket or store.database

    def run(self) -> None:
        org_id = self._org()
        wanted = [(self._bucket, RAW_POLICY, self._store.influx_keep_days)]
        if self._store.downsample != "off":
            wanted.append((f"{self._bucket}_{DOWNSAMPLED}", DOWNSAMPLED, 0))
        for name, policy, keep in wanted:
            bucket_id = self._one_bucket(name, org_id, keep)
            self._mapping(bucket_id, name, policy, org_id)
        self._tasks(org_id)

    def _org(self) -> str:
        """Its id; "" while it is only planned."""
        organizations = self._client.organizations_api()
        found: list[Any] = []
        try:
            found = organizations.find_organizations(org=self._store.org)
        except ApiException as err:
            if err.status != NOT_FOUND:
                raise
        if found:
            self._plan.there(f"organization {self._store.org}")
            return str(found[0].id)
        made: list[Any] = []
        self._plan.make(f"organization {self._store.org}",
                        lambda: made.append(organizations.create_organization(self._store.org)))
        return str(made[0].id) if made else ""

    def _one_bucket(self, name: str, org_id: str, keep_days: int) -> str:
        buckets = self._client.buckets_api()
        seconds = 86_400 * keep_days
        rules = [BucketRetentionRules(type="expire", every_seconds=seconds)] if seconds else []
        known = buckets.find_buckets(name=name, org=self._store.org).buckets if org_id else []
        found: Bucket | None = known[0] if known else None
        what = f"bucket {name}: {days(seconds)}"
        if found is None:
            made: list[Any] = []
            self._plan.make(what, lambda: made.append(
                buckets.create_bucket(bucket_name=name, org=self._store.org, retention_rules=rules)))
            return str(made[0].id) if made else ""
        now_s = sum(int(rule.every_seconds) for rule in found.retention_rules or [])
        if now_s == seconds:
            self._plan.there(what)
        else:
            changed = found
            changed.retention_rules = rules
            self._plan.change(f"{what}, was {days(now_s)}", lambda: buckets.update_bucket(bucket=changed))
        return str(found.id)

    def _mapping(self, bucket_id: str, bucket: str, policy: str, org_id: str) -> None:
        mappings = DBRPsService(self._client.api_client)
        what = f"mapping of {self._database}/{policy} to bucket {bucket}"
        found = mappings.get_dbr_ps(org_id=org_id, db=self._database).content or [] if org_id else []
        same = [one for one in found if one.retention_policy == policy]
        if any(one.bucket_id == bucket_id and not getattr(one, "virtual", False) for one in same):
            self._plan.there(what)
            return
        made = DBRPCreate(org_id=org_id, bucket_id=bucket_id, database=self._database, retention_policy=policy,
                          default=policy == RAW_POLICY)
        self._plan.make(what, lambda: mappings.post_dbrp(made))

    def _tasks(self, org_id: str) -> None:
        tasks = self._client.tasks_api()
        for width in WIDTHS_MS:
            name = f"tocsin {measurement(width)}"
            found = tasks.find_tasks(name=name, org_id=org_id) if org_id else []
            self._task(tasks, found[0] if found else None, name, width)

    def _task(self, tasks: Any, found: Any, name: str, width: str) -> None:
        flux = flux_task(self._store.org, self._bucket, width)
        if self._store.downsample != "auto":
            if found is not None:
                self._plan.drop(f"task {name}", lambda: tasks.delete_task(found.id))
        elif found is None:
            request = TaskCreateRequest(org=self._store.org, flux=flux, status="active")
            self._plan.make(f"task {name}", lambda: tasks.create_task(task_create_request=request))
        elif found.flux == flux:
            self._plan.there(f"task {name}")
        else:
            change = TaskUpdateRequest(flux=flux)
            self._plan.change(f"task {name}", lambda: tasks.update_task_request(found.id, change))
