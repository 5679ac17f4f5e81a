//! What a session makes of the answers of nodes, which are played here.

use super::*;
use crate::cli::output::{Color, Output};
use crate::control::{Answered, Asked};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// A node that gives these answers, one to each question, and the last one to all that follow.
fn node(directory: &Path, name: &str, answers: &[Answer]) -> PathBuf {
    let path = directory.join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let mut answers = answers.to_vec();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Framed::new(stream, LengthDelimitedCodec::new());
            while let Some(Ok(frame)) = wire.next().await {
                let asked: Asked = postcard::from_bytes(&frame).unwrap();
                let answer = match &answers[..] {
                    [last] => last.clone(),
                    _ => answers.remove(0),
                };
                let answered = Answered {
                    number: asked.number,
                    answer: Reply::Chain(answer),
                };
                let frame = postcard::to_allocvec(&answered).unwrap();
                wire.send(Bytes::from(frame)).await.unwrap();
            }
        }
    });
    path
}

fn acked() -> Answer {
    Answer::Acked {
        seq: Seq::new(7),
        epoch: Epoch::default(),
    }
}

fn not_member() -> Answer {
    let members: Arc<[NodeId]> = [1, 2, 3].map(NodeId::new).into();
    Answer::NotMember { members }
}

async fn append(endpoints: &[PathBuf]) -> Result<(Seq, Epoch), String> {
    let output = Output::new(None, Color::Never).unwrap();
    let patience = (Patience::new(Some(2), 60), Waiting::new(&output));
    let mut session = Session::new("orders", endpoints, 0, patience);
    let payload = Payload::new(Bytes::from_static(b"payload"));
    let client = ClientId(Seq::new(1));
    let appended = session.append(client, 1, payload).await;
    appended.map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn an_attempt_that_was_not_answered_is_never_called_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = Answer::Rejected(Reason::UnknownClient);
    let refusing = node(directory.path(), "refusing", std::slice::from_ref(&refusal));
    let open = node(directory.path(), "open", &[Answer::Unknown, refusal]);
    let stranger = node(
        directory.path(),
        "stranger",
        &[Answer::Unknown, not_member()],
    );

    let refused = append(&[refusing]).await.unwrap_err();
    assert!(refused.starts_with("refused: "), "{refused}");
    for endpoint in [open, stranger] {
        let told = append(&[endpoint]).await.unwrap_err();
        assert!(told.starts_with("it is not known whether"), "{told}");
    }
}

#[tokio::test]
async fn a_node_that_is_no_member_is_passed_over_and_says_who_the_members_are() {
    let directory = tempfile::tempdir().unwrap();
    let strangers = ["a", "b"].map(|name| node(directory.path(), name, &[not_member()]));
    let told = append(&strangers).await.unwrap_err();
    assert!(
        told.ends_with("its members are the nodes 1, 2, 3"),
        "{told}"
    );

    let answers = [Answer::NotLeader { hint: None }, acked()];
    let member = node(directory.path(), "member", &answers);
    for at in 0..3 {
        let mut endpoints = strangers.to_vec();
        endpoints.insert(at, member.clone());
        let (seq, _) = append(&endpoints).await.unwrap();
        assert_eq!(seq, Seq::new(7));
    }
}

/// To find out again and again that a node hangs would take longer than a fail-over.
#[tokio::test]
async fn a_node_that_hangs_is_passed_over_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let hanging = directory.path().join("hanging");
    let listener = UnixListener::bind(&hanging).unwrap();
    let (visits, mut visited) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut wire = Framed::new(stream, LengthDelimitedCodec::new());
            let frame = wire.next().await.unwrap().unwrap();
            let asked: Asked = postcard::from_bytes(&frame).unwrap();
            visits.send(asked.ask).unwrap();
            open.push(wire);
        }
    });
    let answers = [vec![Answer::NotLeader { hint: None }; 6], vec![acked()]].concat();
    let member = node(directory.path(), "member", &answers);
    let (seq, _) = append(&[hanging, member]).await.unwrap();
    assert_eq!(seq, Seq::new(7));
    // It is given nothing before it shows that it lives, for that would be waited for longer.
    assert!(matches!(visited.try_recv(), Ok(Ask::Ping)));
    assert!(visited.try_recv().is_err());
}

/// It is passed over only while another one answers.
#[tokio::test]
async fn a_node_that_hung_for_a_moment_is_asked_again_where_nobody_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hanging");
    let hanging = UnixListener::bind(&path).unwrap();
    let nobody = directory.path().join("nobody");
    let endpoints = [path.clone(), nobody];
    tokio::spawn(async move {
        let unread = hanging.accept().await.unwrap();
        // The next one who comes finds a node that answers.
        std::fs::remove_file(&path).unwrap();
        node(directory.path(), "hanging", &[acked()]);
        std::future::pending::<()>().await;
        drop((unread, directory));
    });
    let (seq, _) = append(&endpoints).await.unwrap();
    assert_eq!(seq, Seq::new(7));
}
