//! The table of the fleet's actions as one process works with it: copied from the document, judged, and kept for its host.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::control::{Actions, LOCK_TIMEOUT, TAKEN_WITHIN};
use super::judging::verify_soon;
use super::note::UnsaidEntries;
use super::permission::Permissions;
use super::running::ActionRun;
use super::scope::ActionScope;
use crate::engine::Engine;
use crate::model::clock::{self, Moment};
use crate::model::{CheckError, Owner};
use crate::runtime::Process;
use crate::runtime::tasks::run_blocking;
use crate::state::Fleet;
use crate::state::fleet_actions::{ActionRequest, DOCUMENT, FleetActions};

/// The table, and what is wanted of it on this host.
pub(super) struct FleetTable {
    actions: Arc<Actions>,
    /// Identifies this process among those that have judged it.
    pub owner: Owner,
    /// The latest that this process has stored or copied, which the store of the host may not have yet.
    pub known: FleetActions,
}

/// What comes of judging the table once.
#[derive(Default)]
pub(super) struct JudgedTable {
    pub next: FleetActions,
    pub run: Option<ActionRun>,
    report: UnsaidEntries,
    /// The runs of this process that the table contains as completed.
    completed: Vec<u64>,
}

impl FleetTable {
    pub fn new(actions: Arc<Actions>) -> Self {
        let owner = Owner { member: 0, process: uuid::Uuid::new_v4().as_u64_pair().0.max(1), lease: 0 };
        Self { actions, owner, known: FleetActions::default() }
    }

    /// Takes over what another process of this host has copied.
    pub fn catch_up(&mut self) {
        let Some(stores) = self.actions.stores() else { return };
        let Some(fleet) = &stores.fleet else { return };
        if let Some(newer) = fleet.read(|copy| (copy.mark() > self.known.mark()).then(|| copy.clone())) {
            self.known = newer;
        }
    }

    /// Copies the document.
    pub async fn load(&mut self, fleet: &Fleet, process: &Arc<Process>) -> Result<(), CheckError> {
        let key = fleet.store.document(DOCUMENT);
        let Some(document) = fleet.store.load(process, &key).await? else { return Ok(()) };
        let Some(found) = clock::decode_from_host::<FleetActions>(&document.value, document.age) else { return Ok(()) };
        self.keep(found.marked(document.mark)).await;
        Ok(())
    }

    /// Keeps what the fleet has now, for all processes of the host.
    pub async fn keep(&mut self, now_known: FleetActions) {
        self.known = now_known;
        let (actions, known) = (self.actions.clone(), self.known.clone());
        let kept = run_blocking(move || {
            let stores = actions.stores()?;
            let fleet = stores.fleet.as_ref()?;
            let now = Moment::now();
            // What cannot be stored now is with the next change.
            fleet.replace(LOCK_TIMEOUT, &known);
            if fleet.desk(|desk| desk.clone().forget(&known.applied, now)) {
                let _ = fleet.update_desk(LOCK_TIMEOUT, |desk| desk.forget(&known.applied, now));
            }
            Some(())
        });
        let _ = kept.await;
    }

    /// Judges it once, with these requests. `forbidden`: why nothing of it may start, where the fleet cannot be asked;
    /// `is_settled`: whether anything may.
    pub async fn judge(
        &self,
        engine: &Arc<Engine>,
        requests: Vec<(u64, ActionRequest)>,
        forbidden: Option<&'static str>,
        is_settled: bool,
    ) -> JudgedTable {
        let (actions, engine, owner) = (self.actions.clone(), engine.clone(), self.owner);
        let before = self.known.clone();
        let known = self.known.clone();
        let judged = run_blocking(move || {
            let (at, now) = (Instant::now(), Moment::now());
            let mut next = known;
            for (id, request) in &requests {
                next.apply(*id, request, now.after(TAKEN_WITHIN));
            }
            let runs = actions.fleet_runs.get_or_init(Default::default);
            let is_alone = forbidden.is_some();
            let completed = if is_alone { Vec::new() } else { runs.note_completed(&mut next.table) };
            let none = Permissions::new();
            let asked = (!is_settled).then_some(&none);
            let judgement = actions.judgement(&engine, ActionScope::Fleet, asked, forbidden, now);
            let is_alive = |other: &Owner| is_alone || other.process == owner.process && runs.are_any();
            let started = judgement.step(&actions, ActionScope::Fleet, &mut next.table, owner, is_alive);
            let report = actions.take_report(&mut next.table, now);
            JudgedTable {
                run: started.map(|started| ActionRun { scope: ActionScope::Fleet, started, at }),
                report,
                completed,
                next,
            }
        });
        judged.await.unwrap_or_else(|| JudgedTable { next: before, ..JudgedTable::default() })
    }

    /// Reports what has come of judging, once the fleet has the table, or cannot be asked.
    pub async fn conclude(&self, engine: &Arc<Engine>, judged: JudgedTable, is_holder: bool) -> Option<ActionRun> {
        let runs = self.actions.fleet_runs.get_or_init(Default::default);
        runs.forget(&judged.completed);
        judged.run.iter().for_each(|run| runs.start(run.started.fence));
        let names = if is_holder { self.known.table.verifying().map(str::to_owned).collect() } else { Vec::new() };
        let (actions, engine, report) = (self.actions.clone(), engine.clone(), judged.report);
        let _ = run_blocking(move || {
            verify_soon(&engine, names);
            actions.say(&report);
        })
        .await;
        judged.run
    }

    /// What is requested on this host.
    pub fn pending(&self) -> Vec<(u64, ActionRequest)> {
        let Some(stores) = self.actions.stores() else { return Vec::new() };
        let now = Moment::now();
        let pending = stores.fleet.as_ref().map(|fleet| fleet.desk(|desk| desk.pending.clone()));
        pending.unwrap_or_default().into_iter().filter(|(_, request)| !request.is_over(now)).collect()
    }

    /// Notes for how long this host judges the table; zero: it does not.
    pub fn note_lead(&self, duration: Duration) {
        let Some(stores) = self.actions.stores() else { return };
        let Some(fleet) = &stores.fleet else { return };
        let now = Moment::now();
        if fleet.desk(|desk| desk.clone().lead(duration, now)) {
            // What cannot be noted now is a second later.
            let _ = fleet.update_desk(LOCK_TIMEOUT, |desk| desk.lead(duration, now));
        }
    }
}
