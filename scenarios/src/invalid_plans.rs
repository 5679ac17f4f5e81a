//! What the values of a plan have to keep to beyond their types, so that every plan that is run
//! means what it says.

use crate::cfg::{Cfg, ChainCfg, ClientCfg, NodeCfg, Plan, TargetedFault, idle_name};
use crate::model::{Ask, Op};
use meshos_core::config::ConfigError;
use meshos_core::hello::Terms;
use meshos_sim::plan::{InvalidPlan, MS_MAX};
use std::collections::BTreeSet;

/// Most chains that nobody uses.
const IDLE_MAX: u64 = 10_000;
/// Most clients; alarms name them by 16 bits.
const SESSIONS_MAX: u64 = 65_535;
/// Longest payload: one byte more than the core takes in under any config.
const BYTES_MAX: u64 = (64 << 20) + 1;
/// Tickets of a plan's own operations are below; those of clients and targeted are not.
const TICKET_END: u64 = 1 << 32;
const MILLION: u64 = 1_000_000;

/// Looks for a value of `cfg` or `ops` that cannot be meant.
///
/// # Errors
/// The first such value.
pub(crate) fn check(plan: &Plan) -> Result<(), InvalidPlan> {
    let cfg = &plan.cfg;
    InvalidPlan::unless_within("cfg.idle_chains", cfg.idle_chains.into(), 0..=IDLE_MAX)?;
    let mut names = (0..cfg.idle_chains).map(idle_name).collect();
    for (at, chain) in cfg.chains.iter().enumerate() {
        check_chain(&format!("cfg.chains[{at}]"), chain, plan.nodes, &mut names)?;
    }
    if let Err(error) = cfg.config(plan.nodes) {
        return Err(translated(cfg, error));
    }
    for (at, own) in cfg.nodes.iter().enumerate() {
        check_node(&format!("cfg.nodes[{at}]"), (at, own), plan)?;
    }
    let mut sessions = 0;
    for (at, client) in cfg.clients.iter().enumerate() {
        let key = format!("cfg.clients[{at}]");
        check_client(&key, client, cfg.chains.len())?;
        let most = SESSIONS_MAX - sessions;
        InvalidPlan::unless_within(key + ".sessions", client.sessions.into(), 1..=most)?;
        sessions += u64::from(client.sessions);
    }
    for (at, targeted) in cfg.targeted.iter().enumerate() {
        check_targeted(&format!("cfg.targeted[{at}]"), targeted, plan)?;
    }
    let mut tickets = BTreeSet::new();
    for (at, op) in plan.ops.iter().enumerate() {
        let key = format!("ops[{at}].op");
        check_op(&key, &op.op, plan)?;
        if !tickets.insert(op.op.ticket) {
            let expected = "a ticket that no operation before it has";
            return Err(InvalidPlan::new(key + ".ticket", op.op.ticket, expected));
        }
    }
    Ok(())
}

fn check_chain(
    key: &str,
    chain: &ChainCfg,
    nodes: u16,
    names: &mut BTreeSet<String>,
) -> Result<(), InvalidPlan> {
    // Operations on a chain that does not exist go to the chain without a name.
    if chain.name.is_empty() || !names.insert(chain.name.clone()) {
        let expected = "a name that no other chain has";
        return Err(InvalidPlan::new(
            format!("{key}.name"),
            format!("{:?}", chain.name),
            expected,
        ));
    }
    for (at, member) in chain.members.iter().enumerate() {
        InvalidPlan::unless_node(format!("{key}.members[{at}]"), *member, nodes)?;
    }
    match chain.pinned {
        Some(node) => InvalidPlan::unless_node(format!("{key}.pinned"), node, nodes),
        None => Ok(()),
    }
}

/// A node's own config: its keys are known, and it is a config of the same cluster.
fn check_node(key: &str, (at, own): (usize, &NodeCfg), plan: &Plan) -> Result<(), InvalidPlan> {
    let cfg = &plan.cfg;
    InvalidPlan::unless_node(format!("{key}.node"), own.node, plan.nodes)?;
    if cfg.nodes[..at].iter().any(|other| other.node == own.node) {
        let expected = "a node that is named once";
        return Err(InvalidPlan::new(format!("{key}.node"), own.node, expected));
    }
    let wrong = |part: &str, problem| InvalidPlan {
        key: format!("{key}.{part}"),
        problem,
    };
    own.timing(&cfg.timing)
        .map_err(|why| wrong("timing", why))?;
    let limits = own.limits(&cfg.limits);
    let limits = limits.map_err(|why| wrong("limits", why))?;
    for (name, own, all) in [
        ("clients_max", limits.clients_max, cfg.limits.clients_max),
        (
            "client_window",
            limits.client_window,
            cfg.limits.client_window,
        ),
    ] {
        if own != all {
            let expected = format!("{all}, as on every node of the cluster");
            return Err(InvalidPlan::new(
                format!("{key}.limits.{name}"),
                own,
                expected,
            ));
        }
    }
    let whole = cfg.of_node(own.node).map_err(|why| wrong("limits", why))?;
    match whole.config(plan.nodes) {
        Ok(config) => match cfg.config(plan.nodes) {
            // Without connections nobody says hello, so nobody could refuse the node.
            Ok(all) if plan.connections.is_none() => Terms::of(&config)
                .fit(&Terms::of(&all))
                .map_err(|why| wrong("limits", format!("{why}; or the plan needs connections"))),
            Ok(_) | Err(_) => Ok(()),
        },
        Err(error) => {
            let InvalidPlan {
                key: place,
                problem,
            } = translated(&whole, error);
            let place = place.strip_prefix("cfg.").unwrap_or(&place);
            Err(wrong(place, problem))
        }
    }
}

/// What the core has against a config, by its place in the plan.
fn translated(cfg: &Cfg, error: ConfigError) -> InvalidPlan {
    let problem = error.to_string();
    let of_chain = |name: &str, key: &str| {
        let at = cfg.chains.iter().position(|chain| chain.name == name);
        // Chains that nobody uses have all nodes as members.
        at.map_or_else(
            || "nodes".to_owned(),
            |at| format!("cfg.chains[{at}].{key}"),
        )
    };
    let key = match error {
        ConfigError::OutOfBounds {
            key,
            found,
            low,
            high,
        } => return InvalidPlan::new(format!("cfg.{key}"), found, format!("{low} to {high}")),
        ConfigError::CheckpointTooLarge { .. } => "cfg.limits.client_window".to_owned(),
        ConfigError::MessageBelowEntry { .. } => "cfg.limits.message_bytes_max".to_owned(),
        ConfigError::NodeTwice(_) | ConfigError::NodeZero | ConfigError::DeploymentZero => {
            "nodes".to_owned()
        }
        ConfigError::ChainTwice(name) => of_chain(&name, "name"),
        ConfigError::MemberCount { chain, found } => {
            let key = of_chain(&chain, "members");
            return InvalidPlan::new(key, format!("{found} members"), "1 or 3 to 16");
        }
        ConfigError::MemberTwice { chain, .. } | ConfigError::UnknownMember { chain, .. } => {
            of_chain(&chain, "members")
        }
        ConfigError::PinnedOutside { chain, .. } => of_chain(&chain, "pinned"),
    };
    InvalidPlan { key, problem }
}

fn check_client(key: &str, client: &ClientCfg, chains: usize) -> Result<(), InvalidPlan> {
    let key = |name: &str| format!("{key}.{name}");
    check_place(key("chain"), client.chain, chains)?;
    InvalidPlan::unless_within(key("start_ms"), client.start_ms, 0..=MS_MAX)?;
    let (low, high) = client.bytes;
    InvalidPlan::unless_range(key("bytes"), (low.into(), high.into()), BYTES_MAX)?;
    InvalidPlan::unless_within(key("pipeline"), client.pipeline.into(), 1..=u32::MAX.into())?;
    // A client that waits for nothing asks again and again at one instant.
    for (name, ms) in [
        ("interval_ms", client.interval_ms),
        ("repeat_ms_max", client.repeat_ms_max),
        ("patience_ms", client.patience_ms),
        ("pause_ms", client.pause_ms),
    ] {
        InvalidPlan::unless_within(key(name), ms, 1..=MS_MAX)?;
    }
    for (name, ppm) in [
        ("reads_ppm", client.reads_ppm),
        ("linearizable_ppm", client.linearizable_ppm),
        ("local_ppm", client.local_ppm),
        ("anonymous_ppm", client.anonymous_ppm),
        ("repeat_ppm", client.repeat_ppm),
        ("sticky_ppm", client.sticky_ppm),
    ] {
        InvalidPlan::unless_within(key(name), ppm.into(), 0..=MILLION)?;
    }
    Ok(())
}

fn check_targeted(key: &str, targeted: &TargetedFault, plan: &Plan) -> Result<(), InvalidPlan> {
    check_place(
        format!("{key}.chain"),
        targeted.chain,
        plan.cfg.chains.len(),
    )?;
    InvalidPlan::unless_within(format!("{key}.for_ms"), targeted.for_ms, 0..=MS_MAX)?;
    if targeted.at_ms < plan.safety_ms {
        return Ok(());
    }
    let expected = format!("a time of the safety phase, before {}", plan.safety_ms);
    Err(InvalidPlan::new(
        format!("{key}.at_ms"),
        targeted.at_ms,
        expected,
    ))
}

fn check_op(key: &str, op: &Op, plan: &Plan) -> Result<(), InvalidPlan> {
    let chains = plan.cfg.chains.len() + plan.cfg.idle_chains as usize;
    check_place(format!("{key}.chain"), op.chain, chains)?;
    InvalidPlan::unless_within(format!("{key}.ticket"), op.ticket, 0..=TICKET_END - 1)?;
    match op.ask {
        Ask::Append { bytes, .. } => {
            InvalidPlan::unless_within(format!("{key}.ask.bytes"), bytes.into(), 0..=BYTES_MAX)
        }
        Ask::Transfer { to: Some(to) } => {
            InvalidPlan::unless_node(format!("{key}.ask.to"), to, plan.nodes)
        }
        Ask::Open {} | Ask::Read { .. } | Ask::Transfer { to: None } | Ask::HandOver {} => Ok(()),
    }
}

fn check_place(key: String, chain: u16, chains: usize) -> Result<(), InvalidPlan> {
    if usize::from(chain) < chains {
        return Ok(());
    }
    Err(InvalidPlan::new(
        key,
        chain,
        format!("a chain below {chains}"),
    ))
}
