use super::*;
use crate::draw::Draws;
use std::collections::BTreeSet;

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);
const C: NodeIndex = NodeIndex(2);

struct Lab {
    network: Network,
    draw: Draws,
}

impl Lab {
    fn new(weather: Weather) -> Self {
        Self {
            network: Network::new(3, weather, &[]),
            draw: Draws::new(7),
        }
    }

    fn route(&mut self, from: NodeIndex, to: NodeIndex) -> Route {
        self.network.route(&self.draw, 1_000, (from, to), (5, 100))
    }

    fn latency(&mut self, from: NodeIndex, to: NodeIndex) -> Option<u64> {
        match self.route(from, to) {
            Route::Once(at, _) => Some(at - 1_000),
            Route::Twice(_)
            | Route::Damaged(..)
            | Route::Held(_)
            | Route::Streamed(_)
            | Route::Lost => None,
        }
    }
}

#[test]
fn latencies_fill_their_range_and_no_more() {
    let mut lab = Lab::new(Weather::latency_us(2, 3));
    let seen: BTreeSet<u64> = (0..20_000).filter_map(|_| lab.latency(A, B)).collect();
    assert_eq!(seen.first(), Some(&2_000));
    assert_eq!(seen.last(), Some(&3_000));
    assert_eq!(seen.len(), 1_001);
}

#[test]
fn loss_and_duplication_are_as_frequent_as_they_say() {
    let weather = Weather {
        loss_ppm: 100_000,
        duplicate_ppm: 200_000,
        ..Weather::default()
    };
    let mut lab = Lab::new(weather);
    let (mut lost, mut twice) = (0, 0);
    for _ in 0..10_000 {
        match lab.route(A, B) {
            Route::Lost => lost += 1,
            Route::Twice([(_, first), (_, second)]) => {
                assert_ne!(first, second);
                twice += 1;
            }
            Route::Once(..) => {}
            Route::Held(_) | Route::Damaged(..) | Route::Streamed(_) => {
                panic!("nothing is clogged or damaged")
            }
        }
    }
    assert!((900..1_100).contains(&lost), "{lost}");
    assert!((1_650..1_950).contains(&twice), "{twice}");
}

#[test]
fn reordered_messages_are_later_than_the_weather_allows() {
    let weather = Weather {
        reorder_ppm: 500_000,
        ..Weather::latency_us(1_000, 1_000)
    };
    let mut lab = Lab::new(weather);
    let late: Vec<u64> = (0..1_000).filter_map(|_| lab.latency(A, B)).collect();
    let delayed = late.iter().filter(|latency| **latency > 1_000_000).count();
    assert!((400..600).contains(&delayed), "{delayed}");
    assert!(late.iter().all(|latency| *latency <= 9_000_000));
}

#[test]
fn a_message_that_is_lost_leaves_the_draws_of_the_others_alone() {
    let mut plain = Lab::new(Weather::default());
    let expected: Vec<_> = (0..10).map(|_| plain.latency(A, B)).collect();
    let mut lab = Lab::new(Weather::default());
    for (index, latency) in expected.iter().enumerate() {
        let cut = (3..6).contains(&index);
        lab.network.set_cut(A, B, cut);
        lab.network.set_cut(C, B, index % 2 == 0);
        lab.latency(C, B);
        let seen = lab.latency(A, B);
        assert_eq!(seen, if cut { None } else { *latency });
    }
}

#[test]
fn a_cut_is_one_way() {
    let mut lab = Lab::new(Weather::default());
    lab.network.set_cut(A, B, true);
    assert_eq!(lab.route(A, B), Route::Lost);
    assert!(lab.latency(B, A).is_some());
    assert!(lab.latency(A, C).is_some());
    lab.network.set_cut(A, B, false);
    assert!(lab.latency(A, B).is_some());
}

#[test]
fn a_partition_parts_groups_both_ways_and_is_replaced_by_the_next() {
    let mut lab = Lab::new(Weather::default());
    lab.network.part(&[vec![A]]);
    assert_eq!(lab.route(A, B), Route::Lost);
    assert_eq!(lab.route(C, A), Route::Lost);
    assert!(lab.latency(B, C).is_some());
    lab.network.part(&[vec![A, B], vec![C]]);
    assert!(lab.latency(A, B).is_some());
    assert_eq!(lab.route(B, C), Route::Lost);
    lab.network.set_cut(A, B, true);
    lab.network.heal(false, |_, _| true);
    assert!(lab.latency(B, C).is_some());
    assert!(lab.latency(A, B).is_some());
}

#[test]
fn a_clogged_link_holds_messages() {
    let mut lab = Lab::new(Weather::default());
    lab.network.set_clog(A, B, true);
    let Route::Held(tie) = lab.route(A, B) else {
        panic!("not held");
    };
    assert_eq!((tie.sender(), tie.receiver()), (A, B));
    assert!(lab.network.is_clogged(A, B));
    assert!(!lab.network.is_clogged(B, A));
    let at = lab.network.release(&lab.draw, 5_000, tie);
    assert!((1_005_000..=10_005_000).contains(&at), "{at}");
}

#[test]
fn a_filter_loses_one_kind() {
    let mut lab = Lab::new(Weather::default());
    lab.network.filter(5, Some(A), None);
    assert_eq!(lab.route(A, B), Route::Lost);
    assert!(lab.latency(B, A).is_some());
    let other = lab.network.route(&lab.draw, 0, (A, B), (6, 100));
    assert!(matches!(other, Route::Once(..)), "{other:?}");
    lab.network.heal(false, |_, _| true);
    assert!(lab.latency(A, B).is_some());
    assert_eq!(lab.network.tables_len(), 1);
}

#[test]
fn a_narrow_link_carries_one_message_after_the_other() {
    let weather = Weather {
        bytes_per_ms: 50,
        ..Weather::latency_us(1_000, 1_000)
    };
    let mut lab = Lab::new(weather);
    // 100 bytes take 2 ms.
    assert_eq!(lab.latency(A, B), Some(3_000_000));
    assert_eq!(lab.latency(A, B), Some(5_000_000));
    assert_eq!(lab.latency(B, A), Some(3_000_000));
}

#[test]
fn weather_is_per_link_and_its_table_is_bounded() {
    let mut lab = Lab::new(Weather::latency_us(1, 1));
    for us in 2..2_000 {
        let weather = Weather::latency_us(us, us);
        lab.network
            .set_weather(Some(weather), |from, to| (from, to) == (A, B));
        assert_eq!(lab.latency(A, B), Some(us * 1_000));
        assert_eq!(lab.latency(B, A), Some(1_000));
    }
    assert!(lab.network.tables_len() <= PROFILES_MAX);
    lab.network.set_weather(None, |_, _| true);
    assert_eq!(lab.latency(A, B), Some(1_000));
}

#[test]
fn what_a_link_has_of_its_own_is_there_in_any_weather_and_after_it() {
    let zones = [vec![A, B], vec![C]];
    let far = Weather {
        loss_ppm: 7,
        ..Weather::latency_us(40_000, 40_000)
    };
    let matrix = LinkWeather::between(&zones, far);
    let mut lab = Lab {
        network: Network::new(3, Weather::latency_us(1_000, 1_000), &matrix),
        draw: Draws::new(7),
    };
    let see = |lab: &mut Lab| [(A, B), (A, C), (C, B)].map(|(from, to)| lab.latency(from, to));
    let calm = [1_000_000, 40_000_000, 40_000_000].map(Some);
    assert_eq!(see(&mut lab), calm);
    let storm = Weather::latency_us(20_000, 20_000);
    lab.network.set_weather(Some(storm), |_, _| true);
    assert_eq!(
        see(&mut lab),
        [20_000_000, 40_000_000, 40_000_000].map(Some)
    );
    let storm = Weather::latency_us(60_000, 60_000);
    lab.network.set_weather(Some(storm), |_, _| true);
    assert_eq!(see(&mut lab), [Some(60_000_000); 3]);
    lab.network.set_weather(None, |_, _| true);
    assert_eq!(see(&mut lab), calm);
}

#[test]
fn messages_are_damaged_as_often_as_the_weather_says() {
    let weather = Weather {
        corrupt_ppm: 100_000,
        ..Weather::default()
    };
    let mut lab = Lab::new(weather);
    let damaged = |route| matches!(route, Route::Damaged(..));
    let count = (0..10_000).filter(|_| damaged(lab.route(A, B))).count();
    assert!((900..1_100).contains(&count), "{count}");
}

#[test]
fn what_is_too_large_is_lost() {
    let largest = |message_bytes_max| Weather {
        message_bytes_max,
        ..Weather::latency_us(1, 1)
    };
    assert!(Lab::new(largest(100)).latency(A, B).is_some());
    assert_eq!(Lab::new(largest(99)).latency(A, B), None);
}

#[test]
fn the_worse_of_two_weathers_is_worse_in_every_respect() {
    let narrow = Weather {
        bytes_per_ms: 50,
        loss_ppm: 1,
        ..Weather::latency_us(1, 9)
    };
    let long = Weather {
        bytes_per_ms: 80,
        message_bytes_max: 7,
        corrupt_ppm: 2,
        ..Weather::latency_us(5, 6)
    };
    let worse = Weather {
        bytes_per_ms: 50,
        message_bytes_max: 7,
        loss_ppm: 1,
        corrupt_ppm: 2,
        ..Weather::latency_us(5, 9)
    };
    assert_eq!(narrow.worse(long), worse);
    assert_eq!(long.worse(narrow), worse);
    let unlimited = Weather::latency_us(1, 1);
    assert_eq!(unlimited.worse(narrow).bytes_per_ms, 50);
}
