//! Marks that what a node counts proves.

use meshos_core::count::Count;
use meshos_sim::reached;

/// Marks that a count alone proves.
pub(super) fn reach(count: Count) {
    match count {
        Count::VoteDuringWrite => reached!("vote granted while a log write was in flight"),
        Count::WriteOvertaken => reached!("write overtaken by a cut"),
        Count::CommitAboveVerified => reached!("commit named above an unverified suffix"),
        Count::RequestRepeatedInherited => {
            reached!("retry against a new leader while the first copy is uncommitted");
        }
        Count::RequestRepeated => reached!("request repeated"),
        Count::RequestLate => reached!("request that a leader could not answer in time"),
        Count::QuorumLost => reached!("half-deaf leader stepping down"),
        Count::Repaired => reached!("corrupt entry repaired from a peer"),
        Count::Helped => reached!("entries of another member than the leader appended"),
        Count::SuspicionRearmed => reached!("suspicion armed again after a pause"),
        Count::BudgetWait => reached!("chunk held back by the bandwidth budget"),
        Count::StoreFull => reached!("store full"),
        Count::Transferred => reached!("leadership handed over on request"),
        Count::MadeWay => reached!("log dropped before the checkpoint that replaces it"),
        Count::ResetContinued => reached!("checkpoint continued behind the parts that came"),
        Count::Retained => reached!("prefix dropped by retention"),
        Count::Expired => reached!("entries dropped by age"),
        Count::RetainedFirst => reached!("retention before entries that wait"),
        Count::ChunkLate => reached!("late chunk of an older request taken"),
        Count::ChunkEarly => reached!("chunk that overtook another one taken"),
        Count::StillUnderWay => reached!("bulk that may be on its way not sent again"),
        Count::SentAgain => reached!("bulk that should have come sent again"),
        Count::TransferFailed => reached!("another node than the target of a transfer elected"),
        Count::StalledLeader => reached!("leader without progress handed over"),
        Count::HungLeader => reached!("leader with a hung store hands over"),
        Count::ForwardEnded => reached!("forward ended with its leadership"),
        Count::ReadAskedAgain => reached!("read asked again of the next leader"),
        Count::QueryGaveWay => reached!("query gave way to another candidate's"),
        Count::EarlyElection => reached!("early election after a process was gone"),
        Count::WrongCluster
        | Count::WrongStore
        | Count::UnknownSender
        | Count::UnknownChain
        | Count::WrongReplica
        | Count::StaleAnswer
        | Count::OlderEpoch
        | Count::StaleHeartbeat
        | Count::ChunkGap
        | Count::ChunkUnsound
        | Count::ConflictIgnored
        | Count::ResetIgnored
        | Count::ResetInstalled
        | Count::Cut
        | Count::RequestRepeatedUncommitted
        | Count::RequestRepeatedRetained
        | Count::ForwardRepeated
        | Count::PeerGone
        | Count::PeerGoneIgnored
        | Count::StoreRegressed
        | Count::UnknownOperation
        | Count::Contradicted => {}
    }
}
