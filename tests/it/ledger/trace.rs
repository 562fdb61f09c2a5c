//! Which requests a caller makes: drawn by chance, so that caps are reached, passed by downgrades, and made room under again.

use super::chance::Chance;
use super::model::{MOST, Place, Request};
use super::plan::KEYS;
use super::world::PROJECTS;

/// What one history is about.
pub(super) struct Theme {
    pub(super) places: Vec<Place>,
    /// How long holds live, in seconds.
    pub(super) ttls: &'static [u64],
    /// Whether there are numbers near the largest.
    pub(super) has_giants: bool,
}

impl Theme {
    /// Two or three places, of which at least one is a count.
    pub(super) fn new(chance: &mut Chance, ttls: &'static [u64]) -> Self {
        let counts: Vec<usize> = (0..KEYS.len()).filter(|key| KEYS[*key].unit.is_none()).collect();
        let mut keys = vec![*chance.pick(&counts)];
        for _ in 0..chance.between(1, 2) {
            keys.push(chance.index(KEYS.len()));
        }
        let mut places: Vec<Place> = keys.into_iter().map(|key| place(key, chance)).collect();
        places.sort_unstable();
        places.dedup();
        Self { places, ttls, has_giants: false }
    }

    fn place(&self, chance: &mut Chance) -> Place {
        *chance.pick(&self.places)
    }

    fn countable(&self, chance: &mut Chance) -> Place {
        let counts: Vec<Place> = self.places.iter().filter(|place| KEYS[place.key].unit.is_none()).copied().collect();
        *chance.pick(&counts)
    }

    fn amount(&self, chance: &mut Chance) -> u64 {
        match chance.below(12) {
            0..=5 => 1,
            6..=8 => chance.between(2, 3),
            9..=10 => chance.between(2, 8),
            _ if self.has_giants => MOST - chance.below(40),
            _ => chance.between(1, 30),
        }
    }

    /// The next request. `made` are the reservations that there are so far, `fresh` is the number of the next one.
    pub(super) fn request(&self, chance: &mut Chance, made: &[usize], fresh: usize) -> Request {
        let amount = self.amount(chance);
        let place = self.place(chance);
        match chance.below(100) {
            0..=24 => Request::Consume(place, amount),
            25..=36 => self.batch(chance),
            37..=46 => Request::Release(self.countable(chance), amount),
            47..=59 => Request::Reserve { serial: fresh, place, amount, ttl: *chance.pick(self.ttls) },
            60..=78 if !made.is_empty() => settle(recent(made, chance), chance),
            79..=82 => {
                let actual = if chance.percent(70) { chance.below(9) } else { amount };
                Request::Reconcile { place, actual, dry_run: chance.percent(25) }
            }
            83..=88 => Request::Usage(place),
            _ => Request::Check(place, amount),
        }
    }

    /// Some items, in any order, also of the same place.
    fn batch(&self, chance: &mut Chance) -> Request {
        let count = chance.between(1, 4);
        Request::Batch((0..count).map(|_| (self.place(chance), self.amount(chance).min(MOST / 4))).collect())
    }
}

fn place(key: usize, chance: &mut Chance) -> Place {
    Place { key, project: KEYS[key].per_project.then(|| *chance.pick(&PROJECTS)) }
}

/// Mostly one of the last few, the others having ended.
fn recent(made: &[usize], chance: &mut Chance) -> usize {
    let few = if chance.percent(75) { 6 } else { made.len() };
    *chance.pick(&made[made.len().saturating_sub(few)..])
}

fn settle(serial: usize, chance: &mut Chance) -> Request {
    match chance.below(10) {
        0..=3 => Request::Confirm(serial, None),
        4..=6 => Request::Confirm(serial, Some(chance.between(1, 3))),
        7..=8 => Request::Cancel(serial),
        _ => Request::Look(serial),
    }
}
