use super::{Pass, Place, Turn, Turns};
use crate::bandwidth::Class;
use crate::deadline::ChainIndex;
use crate::id::NodeId;
use crate::time::Instant;
use alloc::vec::Vec;

type Who = (Class, NodeId, ChainIndex);

fn who(class: Class, peer: u64, chain: u32) -> Who {
    (class, NodeId::new(peer), ChainIndex(chain))
}

const NOW: Instant = Instant::from_nanos(5);

#[test]
fn the_one_served_longest_ago_is_next() {
    let mut turns = Turns::default();
    let all = [
        who(Class::Foreground, 1, 0),
        who(Class::Foreground, 2, 0),
        who(Class::Foreground, 1, 1),
    ];
    let mut places = [Place::default(); 3];
    for (place, &who) in places.iter_mut().zip(&all) {
        turns.want(true, place, who);
    }
    let mut pass = Pass::default();
    let mut order = Vec::new();
    for _ in 0..9 {
        let next = turns.next(&pass, NOW).expect("everybody wants");
        let at = all
            .iter()
            .position(|&who| who == next)
            .expect("it is one of them");
        turns.end(&mut places[at], next);
        turns.want(true, &mut places[at], next);
        turns.note(&mut pass, (next.0, next.1), Turn::Sent);
        order.push(at);
    }
    let first: Vec<usize> = order[..3].to_vec();
    assert_eq!(order, [first.clone(), first.clone(), first].concat());
    for (place, &who) in places.iter_mut().zip(&all) {
        turns.want(false, place, who);
    }
    assert!(turns.is_empty());
}

#[test]
fn a_full_window_holds_up_its_peer_only_and_the_budget_its_class() {
    let mut turns = Turns::default();
    let (slow, well) = (who(Class::Foreground, 1, 0), who(Class::Foreground, 2, 0));
    let background = who(Class::Background, 2, 1);
    for who in [slow, well, background] {
        turns.want(true, &mut Place::default(), who);
    }
    let mut pass = Pass::default();
    assert_eq!(turns.next(&pass, NOW), Some(slow));
    turns.note(&mut pass, (slow.0, slow.1), Turn::NoRoom);
    assert_eq!(turns.next(&pass, NOW), Some(well));
    let later = Instant::from_nanos(9);
    turns.note(&mut pass, (well.0, well.1), Turn::Later(later));
    assert_eq!(turns.next(&pass, NOW), Some(background));
    turns.note(&mut pass, (background.0, background.1), Turn::NoRoom);
    assert_eq!(turns.next(&pass, NOW), None);
    assert_eq!(
        turns.next(&Pass::default(), later),
        Some(slow),
        "a new round"
    );
}
