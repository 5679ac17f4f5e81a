//! The play of one run: the safety phase, the recovery and the liveness phase of its plan.

use crate::check::obligation;
use crate::explain::window::{LOOK_BACK, is_gone, kept, selected};
use crate::explore::steered;
use crate::fault::{Fault, Unsynced};
use crate::machine::Machine;
use crate::marks;
use crate::node::NodeIndex;
use crate::plan::{InvalidPlan, Plan};
use crate::quiet::{self, Panic};
use crate::report::{Finding, Found, NodeState, PANIC, PLAN, Report, Standing};
use crate::scenario::{NotChecked, PlanOf, Scenario};
use crate::time::Instant;
use crate::trace::{Line, Trace};
use crate::violation::Violation;
use crate::watch::{Tail, Tap, Watch};
use crate::weather::Weather;
use crate::world::steering::STEP;
use crate::world::{Setup, World};
use std::sync::Arc;
use std::time::Duration;

/// Runs a plan once, whatever the watcher wants.
pub(crate) fn run_once<S: Scenario>(scenario: &S, plan: &PlanOf<S>, watch: &Watch) -> Report {
    marks::clear();
    quiet::want_backtraces(watch.backtrace);
    obligation::clear();
    let mut session = Session {
        scenario,
        plan,
        watch,
        world: None,
        hook: None,
        beat: 0,
    };
    let mut not_checked = NotChecked::default();
    let ended = quiet::catch(|| session.play(&mut not_checked));
    // What a machine said before it panicked was in the middle of its step.
    #[cfg(feature = "tracing")]
    if let Some(world) = &mut session.world
        && let Some(node) = world.acting()
    {
        world.record_said(node);
    }
    // The digest and the trace of a world whose machine panicked are as good as any.
    let world = session.world;
    let at = world.as_ref().map_or(Instant::ZERO, World::now);
    let (finding, converged_after) = match ended {
        Ok(Ok(converged_after)) => (None, converged_after),
        Ok(Err(finding)) => (Some(finding), None),
        Err(panic) => (Some(panicked(panic, at)), None),
    };
    let marks = marks::take();
    let obligations = obligation::take();
    let digest = |world: &World<S::Machine>| quiet::catch(|| world.digest()).unwrap_or(0);
    let trace = world.as_ref().and_then(World::trace);
    let trace = trace.map_or_else(Vec::new, |trace| match &finding {
        Some(finding) if is_gone(trace, finding.at) => lines_until(scenario, plan, watch, finding),
        finding => kept(trace, finding.as_ref(), watch.trace_lines),
    });
    let (faults_inert, inert) = world.as_ref().map_or((0, Vec::new()), World::faults_inert);
    let mut report = Report {
        finding,
        digest: world.as_ref().map_or(0, digest),
        nodes: world.as_ref().map_or(0, World::nodes),
        steps: world.as_ref().map_or(0, World::steps),
        simulated: at.since(Instant::ZERO),
        converged_after,
        marks,
        faults: world.as_ref().map_or(0, World::faults_applied),
        faults_inert,
        inert,
        obligations,
        not_checked: not_checked.0,
        trace,
        nodes_then: match (&world, watch.until) {
            (Some(world), Some(_)) => nodes_of(world),
            _ => Vec::new(),
        },
    };
    if let (Some(finding), Some(world)) = (&mut report.finding, &world)
        && finding.property == PANIC
        && let Some(node) = world.acting()
    {
        finding.node = Some(node);
        // A machine that does not exist yet panicked while it booted.
        finding.input = match world.node(node) {
            Some(_) => last_input(scenario, plan, watch, node),
            None => Some("boot".into()),
        };
    }
    report
}

fn nodes_of<M: Machine>(world: &World<M>) -> Vec<NodeState> {
    let view = world.view();
    let state = |node| {
        let machine = view.node(node);
        NodeState {
            node,
            standing: match machine {
                None => Standing::Down,
                Some(_) if view.is_paused(node) => Standing::Paused,
                Some(_) => Standing::Up,
            },
            // A machine that panicked may panic again.
            told: machine.and_then(|machine| quiet::catch(|| machine.describe()).ok().flatten()),
        }
    };
    view.nodes().map(state).collect()
}

/// The lines that led to a finding that is older than what the trace has kept: the run is made
/// once more, until then.
fn lines_until<S: Scenario>(
    scenario: &S,
    plan: &PlanOf<S>,
    watch: &Watch,
    finding: &Finding,
) -> Vec<Line> {
    let again = Watch {
        until: Some(finding.at),
        trace_lines: LOOK_BACK,
        ..watch.clone()
    };
    let lines = run_once(scenario, plan, &again).trace;
    selected(lines, finding, watch.trace_lines)
}

/// What a node was working on when a run of this plan panicked.
///
/// Texts of inputs cost more than the steps that they tell of, so a run that nobody watches is
/// made once more for the last of them.
fn last_input<S: Scenario>(
    scenario: &S,
    plan: &PlanOf<S>,
    watch: &Watch,
    node: NodeIndex,
) -> Option<Box<str>> {
    let tail = watch.tail.clone().unwrap_or_else(|| {
        let tail = Arc::new(Tail::new(1));
        let again = Watch {
            pulse: watch.pulse.clone(),
            tail: Some(Arc::clone(&tail)),
            ..Watch::default()
        };
        run_once(scenario, plan, &again);
        tail
    });
    let last = tail.lines().pop()?;
    (last.node == Some(node)).then(|| last.event.to_string().into_boxed_str())
}

pub(crate) fn panicked(panic: Panic, at: Instant) -> Finding {
    let Panic {
        site,
        message,
        backtrace,
    } = panic;
    Finding {
        site,
        at,
        backtrace: backtrace.map(String::into_boxed_str),
        ..Finding::new(PANIC, message)
    }
}

fn mistaken(mistake: &InvalidPlan) -> Finding {
    Finding {
        site: mistake.key.clone(),
        ..Finding::new(PLAN, mistake.to_string())
    }
}

/// A run in progress, and what it is made from.
struct Session<'a, S: Scenario> {
    scenario: &'a S,
    plan: &'a PlanOf<S>,
    watch: &'a Watch,
    world: Option<World<S::Machine>>,
    hook: Option<(Tap, S::Hook)>,
    beat: u32,
}

impl<S: Scenario> Session<'_, S> {
    fn play(&mut self, not_checked: &mut NotChecked) -> Result<Option<Duration>, Finding> {
        let (scenario, plan) = (self.scenario, self.plan);
        let checked = plan.check().and_then(|()| scenario.check(plan));
        checked.map_err(|mistake| mistaken(&mistake))?;
        let mut setup = match plan.choices.is_empty() {
            true => setup(scenario, plan),
            false => steered_setup(scenario, plan),
        };
        setup.steps_max = setup
            .steps_max
            .min(self.watch.steps_max.unwrap_or(u64::MAX));
        let mut world = World::new(setup);
        if self.watch.trace_lines > 0 {
            let trace = Trace::new(self.watch.trace_lines.max(LOOK_BACK));
            world.record_in(match self.watch.trace_states {
                true => trace.with_states(),
                false => trace,
            });
        }
        if !plan.choices.is_empty() {
            self.world = Some(world);
            self.hook = Some((Tap(self.watch.tail.clone()), scenario.hook(plan)));
            self.steer()?;
            let end = Instant::ZERO.after(STEP * plan.choices.len() as u32);
            return match self.is_over(end) {
                true => Ok(None),
                false => self.finish(not_checked).map(|()| None),
            };
        }
        for op in &plan.ops {
            world.schedule_op(op.at, op.node, op.op.clone());
        }
        for fault in &plan.faults {
            world.schedule_fault(fault.at, fault.fault.clone());
        }
        self.world = Some(world);
        self.hook = Some((Tap(self.watch.tail.clone()), scenario.hook(plan)));
        self.advance(plan.safety())?;
        if self.is_over(plan.safety()) {
            return Ok(None);
        }
        let converged_after = match plan.liveness_ms {
            0 => None,
            _ => match self.converge()? {
                None => return Ok(None),
                converged_after => converged_after,
            },
        };
        self.finish(not_checked)?;
        Ok(converged_after)
    }

    fn finish(&mut self, not_checked: &mut NotChecked) -> Result<(), Finding> {
        if let (Some(world), Some((_, hook))) = (&self.world, &mut self.hook) {
            let finished = self.scenario.finish(self.plan, world, hook, not_checked);
            finished.map_err(|violation| finished_finding(violation, world.now()))?;
        }
        Ok(())
    }

    /// Lets the choices of the plan happen, or as many as the watcher wants.
    fn steer(&mut self) -> Result<(), Finding> {
        let (Some(world), Some(hook)) = (&mut self.world, &mut self.hook) else {
            return Ok(());
        };
        let Plan { ops, choices, .. } = self.plan;
        let steered = steered::run(world, (ops, choices), self.watch.until, hook);
        steered.map_err(|violation| finding(violation, world.now()))
    }

    /// Whether the watcher wants the run to end at `at` or before.
    fn is_over(&self, at: Instant) -> bool {
        self.watch.until.is_some_and(|until| until <= at)
    }

    /// Runs everything up to `limit`, or until the watcher has seen enough.
    fn advance(&mut self, limit: Instant) -> Result<(), Finding> {
        let limit = self.watch.until.map_or(limit, |until| until.min(limit));
        let (Some(world), Some(hook)) = (&mut self.world, &mut self.hook) else {
            return Ok(());
        };
        loop {
            match world.run_next(limit, hook) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(violation) => return Err(finding(violation, world.now())),
            }
            self.beat += 1;
            if self.beat == BEAT_EVERY {
                self.beat = 0;
                if let Some(pulse) = &self.watch.pulse {
                    pulse.beat();
                }
            }
        }
    }

    /// Heals the core but for what the plan keeps, takes the others down and waits until the scenario is content,
    /// or the watcher has seen enough.
    fn converge(&mut self) -> Result<Option<Duration>, Finding> {
        let core = self.plan.core();
        if let (Some(world), Some(hook)) = (&mut self.world, &mut self.hook) {
            let others = (0..self.plan.nodes).map(NodeIndex);
            let others = others.filter(|node| !core.contains(node));
            // A node that is down already is crashed, too, so that no earlier crash of it ends.
            let crash = others.map(|node| Fault::Crash {
                node,
                unsynced: Unsynced::Drawn,
            });
            let crashes: Vec<_> = crash.collect();
            let keep = self.plan.keep.clone();
            let recover = Fault::Recover { nodes: core, keep };
            for fault in crashes.iter().chain([&recover]) {
                let applied = world.apply(fault, hook);
                applied.map_err(|violation| finding(violation, world.now()))?;
            }
        }
        let healed = self.plan.safety();
        let last = healed.after(self.plan.liveness());
        let mut next = healed;
        loop {
            next = next.after(CONVERGED_EVERY).min(last);
            self.advance(next)?;
            let (Some(world), Some((_, hook))) = (&self.world, &self.hook) else {
                return Ok(None);
            };
            if self.is_over(next) {
                return Ok(None);
            }
            match self.scenario.converged(self.plan, world, hook) {
                Ok(()) => return Ok(Some(next.since(healed))),
                Err(_) if next < last => {}
                Err(blocked) => {
                    let waited = self.plan.liveness_ms;
                    let message =
                        format!("{waited} ms after the faults ended: {}", blocked.obligation);
                    return Err(Finding {
                        site: format!("{}:{}", blocked.site.file(), blocked.site.line()),
                        node: blocked.node,
                        at: world.now(),
                        found: Found::Converging,
                        ..Finding::new(blocked.property, message)
                    });
                }
            }
        }
    }
}

fn setup<S: Scenario>(scenario: &S, plan: &PlanOf<S>) -> Setup<S::Machine> {
    let nodes = (0..plan.nodes).map(NodeIndex);
    let configs = nodes.map(|node| scenario.config(plan, node)).collect();
    let mut setup = Setup::new(plan.seed, configs);
    let Plan {
        weather,
        matrix,
        connections,
        codec,
        disk_us,
        wall_ms,
        absent,
        clock_ppm,
        origin_ms_max,
        steps_max,
        ..
    } = plan;
    setup.weather = *weather;
    setup.matrix.clone_from(matrix);
    setup.connections = *connections;
    setup.codec = *codec;
    setup.disk_us = *disk_us;
    setup.wall_ms = *wall_ms;
    setup.absent.clone_from(absent);
    setup.clock_ppm.clone_from(clock_ppm);
    setup.origin_ms_max = *origin_ms_max;
    setup.steps_max = *steps_max;
    setup
}

/// The world of a plan that says itself what happens next: messages travel as it says.
pub(crate) fn steered_setup<S: Scenario>(scenario: &S, plan: &PlanOf<S>) -> Setup<S::Machine> {
    let mut setup = setup(scenario, plan);
    setup.weather = Weather::latency_us(0, 0);
    setup.matrix.clear();
    setup
}

/// The finding of a check of the whole history, which may know when it happened.
fn finished_finding(violation: Violation, now: Instant) -> Finding {
    let happened = match violation.at {
        Instant::ZERO => now,
        at => at.min(now),
    };
    Finding {
        at: happened,
        found: Found::Finished,
        ..finding(violation, now)
    }
}

pub(crate) fn finding(violation: Violation, now: Instant) -> Finding {
    let site = violation.place();
    let Violation {
        property,
        node,
        at,
        detail,
        ..
    } = violation;
    Finding {
        site,
        node,
        at: at.max(now),
        ..Finding::new(property, detail)
    }
}

/// How often the liveness phase asks whether the cluster has converged.
const CONVERGED_EVERY: Duration = Duration::from_millis(100);

/// Events between two beats of the pulse.
const BEAT_EVERY: u32 = 64;
