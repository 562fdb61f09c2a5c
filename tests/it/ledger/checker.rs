//! Whether a history can be explained by some order of its calls: one that puts no call before another that was answered before
//! it was sent, and in which the plain model gives every call the very answer that it got (Wing and Gong, with a memory of what
//! was tried).

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::history::Call;
use super::model::{Request, Seen, State};

/// A history that is searched longer than this is not one to search.
const MOST_TRIED: usize = 200_000;

/// A call that fits next, and what is so after it.
type Step = (usize, State);

struct Frame {
    /// The call that led here.
    call: Option<usize>,
    next: Vec<Step>,
}

struct Search<'a> {
    calls: &'a [Call],
    is_done: Vec<bool>,
    order: Vec<usize>,
    tried: HashSet<u64>,
}

/// The furthest that a search came.
struct Furthest {
    order: Vec<usize>,
    state: State,
    next: Vec<usize>,
}

/// Fails with the whole history if no order of the calls explains it.
pub(super) fn explain(calls: &[Call], start: &State) -> Result<(), String> {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.span);
    let is_done = vec![false; calls.len()];
    let search = Search { calls: &calls, is_done, order: Vec::new(), tried: HashSet::new() };
    search.run(start).map_err(|furthest| report(&calls, &furthest))
}

impl Search<'_> {
    fn run(mut self, start: &State) -> Result<(), Furthest> {
        let mut furthest = Furthest { order: Vec::new(), state: start.clone(), next: self.candidates() };
        let mut stack = vec![Frame { call: None, next: self.steps(start) }];
        while let Some(frame) = stack.last_mut() {
            if self.order.len() == self.calls.len() {
                return Ok(());
            }
            if let Some((call, state)) = frame.next.pop() {
                self.enter(call);
                assert!(self.tried.len() < MOST_TRIED, "the search is too long: fewer callers, or answers that say more");
                if !self.is_new(&state) {
                    self.leave(call);
                    continue;
                }
                if self.order.len() > furthest.order.len() {
                    furthest = Furthest { order: self.order.clone(), state: state.clone(), next: self.candidates() };
                }
                let next = self.steps(&state);
                stack.push(Frame { call: Some(call), next });
            } else {
                if let Some(call) = frame.call {
                    self.leave(call);
                }
                stack.pop();
            }
        }
        if self.order.len() == self.calls.len() { Ok(()) } else { Err(furthest) }
    }

    fn enter(&mut self, call: usize) {
        self.is_done[call] = true;
        self.order.push(call);
    }

    fn leave(&mut self, call: usize) {
        self.is_done[call] = false;
        self.order.pop();
    }

    fn is_new(&mut self, state: &State) -> bool {
        let mut hasher = DefaultHasher::new();
        (&self.is_done, state).hash(&mut hasher);
        self.tried.insert(hasher.finish())
    }

    /// The calls that may come next: those that were sent before any other open one was answered.
    fn candidates(&self) -> Vec<usize> {
        let mut first_answer = u64::MAX;
        let mut open = Vec::new();
        for (index, call) in self.calls.iter().enumerate().filter(|(index, _)| !self.is_done[*index]) {
            if call.span.0 > first_answer {
                break;
            }
            first_answer = first_answer.min(call.span.1);
            open.push(index);
        }
        open.retain(|index| self.calls[*index].span.0 <= first_answer);
        open
    }

    /// Those that the model answers as they were answered. One that changes nothing can as well come at once.
    fn steps(&self, state: &State) -> Vec<Step> {
        let mut steps = Vec::new();
        for index in self.candidates() {
            for after in outcomes(state, &self.calls[index]) {
                if after == *state {
                    return vec![(index, after)];
                }
                steps.push((index, after));
            }
        }
        // Taken from the end: first the one that was answered first, which mostly did come first.
        steps.sort_by_key(|(index, _)| Reverse(self.calls[*index].span.1));
        steps
    }
}

/// What may be so after a call that was answered as it was; nothing if it cannot have been answered so.
pub(super) fn outcomes(state: &State, call: &Call) -> Vec<State> {
    let mut outcomes: Vec<State> = Vec::new();
    for now in &call.moments {
        if call.seen == Seen::Missing && state.may_be_forgotten(&call.request, *now) {
            outcomes.push(state.clone());
        }
        for plan in &call.plans {
            // The plan is looked up before the writer looks at its clock.
            for plan_at in call.moments.iter().filter(|plan_at| *plan_at <= now) {
                let mut after = state.clone();
                let predicted = after.apply(&call.request, *now, plan, *plan_at);
                if agree(&predicted, &call.seen, &call.request) && !outcomes.contains(&after) {
                    outcomes.push(after);
                }
            }
        }
    }
    outcomes
}

/// What is counted per project is listed only once something was taken.
fn agree(predicted: &Seen, seen: &Seen, request: &Request) -> bool {
    match (predicted, seen, request) {
        (Seen::Usage { shown, .. }, Seen::Unlisted, Request::Usage(place)) => place.project.is_some() && shown.current == 0,
        _ => predicted == seen,
    }
}

fn report(calls: &[Call], furthest: &Furthest) -> String {
    let mut report = String::from("no order of these calls explains their answers (times in microseconds):\n");
    for (index, call) in calls.iter().enumerate() {
        let place = furthest.order.iter().position(|done| *done == index);
        let mark = match place {
            Some(place) => format!("{:>4}.", place + 1),
            None if furthest.next.contains(&index) => "NEXT?".to_owned(),
            None => "     ".to_owned(),
        };
        writeln!(report, "{mark} {call}").expect("text");
    }
    writeln!(report, "the furthest: the numbered ones in their order, then none of those marked NEXT? fits to").expect("text");
    writeln!(report, "{:?}", furthest.state).expect("text");
    report
}
