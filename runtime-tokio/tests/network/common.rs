//! Two nodes of one cluster: one dials and sends, the other one listens.

use meshos_core::chain::boots::Boots;
use meshos_core::chain::peers::PeerMemory;
use meshos_core::chain::store::Identity;
use meshos_core::config::{Config, Draft, Founder};
use meshos_core::event::Input;
use meshos_core::hello::Greeter;
use meshos_core::id::{
    ChainId, ClusterId, DeploymentId, FormatNonce, Incarnation, NodeId, Run, RunNonce, StoreId,
};
use meshos_core::message::{Body, Message};
use meshos_runtime_tokio::inbox::{Capacity, Receiver, Sender, Taken, inbox};
use meshos_runtime_tokio::net::{Backoff, Introduction, Links, Network, TcpTransport, listen};
use meshos_runtime_tokio::ports::Transport;
use meshos_runtime_tokio::tasks::Tasks;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One run of one of two nodes.
#[derive(Copy, Clone)]
pub(crate) struct Who {
    pub(crate) node: u64,
    pub(crate) deployment: u128,
    pub(crate) format: u64,
    pub(crate) incarnation: u64,
    pub(crate) entry_bytes_max: u32,
}

pub(crate) const ONE: Who = Who {
    node: 1,
    deployment: 9,
    format: 0xf1,
    incarnation: 3,
    entry_bytes_max: 1 << 16,
};
pub(crate) const TWO: Who = Who {
    node: 2,
    format: 0xf2,
    ..ONE
};

impl Who {
    pub(crate) fn peer(self) -> NodeId {
        NodeId::new(3 - self.node)
    }

    pub(crate) fn introduction(self) -> Introduction {
        let founder = |node: u64| Founder {
            node: NodeId::new(node),
            store: StoreId::new(u128::from(node)),
        };
        let mut draft = Draft {
            deployment: DeploymentId::new(self.deployment),
            nodes: vec![founder(1), founder(2)],
            ..Draft::default()
        };
        draft.limits.entry_bytes_max = self.entry_bytes_max;
        let config = Arc::new(Config::try_from(draft).unwrap());
        let identity = Identity {
            cluster: config.cluster(),
            node: NodeId::new(self.node),
            store: StoreId::new(u128::from(self.node)),
        };
        let runs = (1..=self.incarnation).map(RunNonce::new);
        let boots = runs.fold(Boots::default(), |boots, run| boots.with(run));
        let greeter = Greeter::new(config, &identity, FormatNonce::new(self.format), boots);
        Introduction::new(greeter, identity, PeerMemory::default(), None)
    }
}

/// The network of a node whose peer listens at `address`.
pub(crate) fn network(who: Who, address: &str) -> Network {
    let addresses = BTreeMap::from([(who.peer(), address.to_owned())]);
    Network {
        introduction: Arc::new(who.introduction()),
        links: Links::new(&addresses),
        addresses: Arc::new(addresses),
        message_bytes_max: 1 << 20,
        queue_messages_max: 64,
        backoff: Backoff {
            first: Duration::from_millis(10),
            last: Duration::from_millis(100),
        },
        dial_stagger: Duration::from_millis(200),
        hello_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(1),
    }
}

/// A node that sends.
pub(crate) struct There {
    pub(crate) transport: TcpTransport,
    pub(crate) network: Network,
    /// What the node is told of its links.
    pub(crate) inbox: Receiver,
    _tasks: Tasks,
}

pub(crate) fn there(network: Network) -> There {
    let (sender, inbox) = inbox(Capacity::default());
    let mut tasks = Tasks::default();
    let transport = TcpTransport::start(&network, &sender, &mut tasks);
    There {
        transport,
        network,
        inbox,
        _tasks: tasks,
    }
}

impl There {
    /// Waits until the node is told what `is_wanted` takes.
    pub(crate) async fn told(&mut self, what: &str, is_wanted: impl Fn(&Input) -> bool) {
        let told = timeout(PATIENCE, async {
            loop {
                let taken = poll_fn(|cx| self.inbox.poll_next(cx)).await;
                if matches!(&taken, Taken::Input(input) if is_wanted(input)) {
                    return;
                }
            }
        });
        told.await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    pub(crate) async fn refusal(&self) -> String {
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(reason) = self.network.links.status().remove(0).refusal {
                    return reason;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        found.await.expect("a refusal is shown")
    }
}

pub(crate) fn is_up(input: &Input) -> bool {
    matches!(input, Input::LinkUp { .. })
}

/// A node that receives.
pub(crate) struct Here {
    pub(crate) address: String,
    pub(crate) inbox: Receiver,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn here(address: &str, who: Who) -> Here {
    listening(address, network(who, ""), inbox(Capacity::default())).await
}

pub(crate) async fn listening(address: &str, network: Network, inbox: (Sender, Receiver)) -> Here {
    let (sender, inbox) = inbox;
    // The port of an acceptor that was just stopped may need a moment.
    let acceptor = timeout(PATIENCE, async {
        loop {
            match listen(address, network.clone(), sender.clone()).await {
                Ok(acceptor) => return acceptor,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let acceptor = acceptor.await.expect("the port is free again");
    let address = acceptor.local_addr().unwrap().to_string();
    let task = tokio::spawn(acceptor.run());
    Here {
        address,
        inbox,
        task,
    }
}

impl Here {
    pub(crate) async fn next(&mut self) -> Option<(NodeId, u64)> {
        let taken = timeout(
            Duration::from_millis(50),
            poll_fn(|cx| self.inbox.poll_next(cx)),
        );
        match taken.await {
            Ok(Taken::Input(Input::Peer { from, message })) => {
                Some((from, message.from.incarnation.get()))
            }
            Ok(other) => panic!("unexpected {other:?}"),
            Err(_) => None,
        }
    }
}

pub(crate) fn message(number: u64) -> Arc<Message> {
    Arc::new(Message {
        cluster: ClusterId::new(1),
        from: Run {
            node: NodeId::new(1),
            store: StoreId::new(1),
            incarnation: Incarnation::new(number),
        },
        to: StoreId::new(2),
        body: Body::Confirm(Vec::new()),
    })
}

/// An append of so many bytes, which goes with the bulk.
pub(crate) fn bulk(number: u64, bytes: usize) -> Arc<Message> {
    use meshos_core::chain::payload::Payload;
    use meshos_core::client::Level;
    use meshos_core::id::{Attempt, AttemptNumber, Epoch, Gen};
    use meshos_core::message::{Forward, ForwardAsk};
    let Message { from, .. } = *message(number);
    let body = Body::Forward(Forward {
        chain: ChainId::of("orders"),
        generation: Gen::default(),
        epoch: Epoch::default(),
        attempt: Attempt {
            incarnation: from.incarnation,
            number: AttemptNumber::new(number),
        },
        ask: ForwardAsk::Append {
            level: Level::Committed,
            request: None,
            payload: Payload::new(vec![7; bytes].into()),
        },
    });
    Arc::new(Message {
        body,
        ..Message::clone(&message(number))
    })
}

/// Sends until something arrives.
pub(crate) async fn until_heard(there: &mut There, here: &mut Here, number: u64) {
    let heard = timeout(PATIENCE, async {
        loop {
            there.transport.send(NodeId::new(2), message(number));
            while let Some((from, heard)) = here.next().await {
                assert_eq!(from, NodeId::new(1));
                if heard == number {
                    return;
                }
            }
        }
    });
    heard.await.expect("the message arrives");
}
