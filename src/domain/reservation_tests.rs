//! What becomes of a reservation.

use super::*;

fn quantity(number: u64) -> Quantity {
    Quantity::new(number).expect("in range")
}

fn reservation() -> Reservation {
    Reservation {
        id: "res_0192f0c1b7e07000a0000000000000aa_acme".parse().expect("an id"),
        limit_key: LimitKeyName::parse("max_creators").expect("a name"),
        resource: None,
        window: None,
        amount: quantity(3),
        created_at: UtcMillis::new(0),
        expires_at: UtcMillis::new(60_000),
        settlement: None,
    }
}

fn settled(settlement: Settlement) -> Reservation {
    Reservation { settlement: Some(settlement), ..reservation() }
}

const BEFORE: i64 = 59_999;
const AFTER: i64 = 60_000;

fn at(millis: i64) -> UtcMillis {
    UtcMillis::new(millis)
}

#[test]
fn an_id_names_its_org_and_is_read_back() {
    for org in ["acme", "a_b", "user@example.com", "_"] {
        let id = ReservationId { org: OrgId::parse(org).expect("an org"), number: 0x0192_f0c1 };
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for bad in [
        "",
        "res_",
        "res_0192f0c1b7e07000a0000000000000aa",
        "res_0192F0C1B7E07000A0000000000000AA_acme",
        "res_0192f0c1b7e07000a0000000000000aa_",
    ] {
        assert!(bad.parse::<ReservationId>().is_err(), "{bad}");
    }
    assert!("key_0192f0c1b7e07000a0000000000000aa_acme".parse::<ReservationId>().is_err());
    assert!("res_0192f0c1b7e07000a0000000000000é_acme".parse::<ReservationId>().is_err());
}

#[test]
fn it_holds_until_its_time_is_over() {
    assert_eq!(reservation().status(at(BEFORE)), Status::Held);
    assert_eq!(reservation().status(at(AFTER)), Status::Expired);
}

#[test]
fn confirming_it_twice_is_as_good_as_once() {
    let first = reservation().confirm(None, at(BEFORE)).expect("confirmed").expect("a change");
    assert_eq!(first, Settlement { status: Status::Confirmed, confirmed: Some(quantity(3)), at: at(BEFORE) });
    assert_eq!(settled(first).confirm(None, at(AFTER)), Ok(None));
    assert_eq!(settled(first).confirm(Some(quantity(3)), at(AFTER)), Ok(None));
    let other = settled(first).confirm(Some(quantity(2)), at(BEFORE));
    assert_eq!(other, Err(SettleRefusal::Ended(Status::Confirmed, Some(quantity(3)))));
}

#[test]
fn a_part_of_it_can_be_confirmed_and_more_than_it_holds_cannot() {
    let part = reservation().confirm(Some(quantity(1)), at(BEFORE)).expect("confirmed").expect("a change");
    assert_eq!(part.confirmed, Some(quantity(1)));
    for amount in [0, 4] {
        assert_eq!(reservation().confirm(Some(quantity(amount)), at(BEFORE)), Err(SettleRefusal::MoreThanHeld(quantity(3))));
    }
}

#[test]
fn what_has_ended_otherwise_cannot_be_confirmed() {
    assert_eq!(reservation().confirm(None, at(AFTER)), Err(SettleRefusal::Ended(Status::Expired, None)));
    let released = reservation().release(at(BEFORE)).expect("released").expect("a change");
    assert_eq!(settled(released).confirm(None, at(BEFORE)), Err(SettleRefusal::Ended(Status::Released, None)));
}

#[test]
fn releasing_it_twice_is_as_good_as_once_and_usage_is_not_given_back() {
    let released = reservation().release(at(BEFORE)).expect("released").expect("a change");
    assert_eq!(released.status, Status::Released);
    assert_eq!(settled(released).release(at(BEFORE)), Ok(None));
    assert_eq!(reservation().release(at(AFTER)), Ok(None));
    let confirmed = reservation().confirm(None, at(BEFORE)).expect("confirmed").expect("a change");
    assert_eq!(settled(confirmed).release(at(BEFORE)), Err(SettleRefusal::Ended(Status::Confirmed, Some(quantity(3)))));
}

#[test]
fn a_sentence_says_what_has_become_of_it() {
    assert_eq!(SettleRefusal::Ended(Status::Released, None).sentence(), "The reservation is released");
    assert_eq!(SettleRefusal::Ended(Status::Confirmed, Some(quantity(2))).sentence(), "The reservation is confirmed with 2");
}
