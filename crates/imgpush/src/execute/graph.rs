//! Which steps can be taken now: the order of a plan, without doing anything.

use std::collections::{HashMap, VecDeque};

use crate::{Plan, Step};

/// The state of every step.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    ready: VecDeque<Turn>,
    /// Turns that come again when a step has ended, well or not.
    parked: HashMap<usize, Vec<Turn>>,
}

#[derive(Debug)]
struct Node {
    needs: Vec<usize>,
    dependents: Vec<usize>,
    /// How many of the needs are not done.
    missing: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody wants it so far.
    Idle,
    Wanted,
    Done,
    Failed,
}

/// A step that can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) step: usize,
    pub(super) phase: Phase,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    /// The blob is not in the repository. It takes so many requests at once to bring it there.
    Missing(usize),
}

impl Phase {
    /// Returns how many requests the turn takes at once.
    pub(super) fn weight(self) -> usize {
        match self {
            Self::Start => 1,
            Self::Missing(weight) => weight,
        }
    }
}

impl Graph {
    pub(super) fn new(plan: &Plan) -> Self {
        let nodes = plan.steps().iter().map(|step: &Step| Node {
            needs: step.needs.clone(),
            dependents: Vec::new(),
            missing: 0,
            state: State::Idle,
        });
        let mut graph = Self {
            nodes: nodes.collect(),
            ready: VecDeque::new(),
            parked: HashMap::new(),
        };
        for (place, step) in plan.steps().iter().enumerate() {
            for &need in &step.needs {
                graph.nodes[need].dependents.push(place);
            }
        }
        for (place, step) in plan.steps().iter().enumerate() {
            if !step.is_on_demand {
                graph.want(place);
            }
        }
        graph
    }

    /// Returns the next step that can go on, if it takes no more than `room` requests at once.
    pub(super) fn next(&mut self, room: usize) -> Option<Turn> {
        let weight = self.ready.front()?.phase.weight();
        if weight > room {
            return None;
        }
        self.ready.pop_front()
    }

    /// Makes a turn come again when another step has ended. Steps on demand are wanted by that.
    pub(super) fn park(&mut self, turn: Turn, until: usize) {
        match self.nodes[until].state {
            State::Done | State::Failed => self.ready.push_back(turn),
            State::Idle | State::Wanted => {
                self.parked.entry(until).or_default().push(turn);
                self.want(until);
            }
        }
    }

    /// Makes a turn come again.
    pub(super) fn again(&mut self, turn: Turn) {
        self.ready.push_front(turn);
    }

    /// Returns whether a step has ended well.
    pub(super) fn is_done(&self, step: usize) -> bool {
        self.nodes[step].state == State::Done
    }

    /// Notes how a step ended. Those that need one that failed have failed as well.
    pub(super) fn end(&mut self, step: usize, is_done: bool) {
        let mut ended = vec![(step, is_done)];
        while let Some((step, is_done)) = ended.pop() {
            if matches!(self.nodes[step].state, State::Done | State::Failed) {
                continue;
            }
            let state = if is_done { State::Done } else { State::Failed };
            self.nodes[step].state = state;
            for turn in self.parked.remove(&step).unwrap_or_default() {
                self.ready.push_back(turn);
            }
            for place in self.nodes[step].dependents.clone() {
                let dependent = &mut self.nodes[place];
                if dependent.state != State::Wanted {
                    continue;
                }
                if !is_done {
                    ended.push((place, false));
                    continue;
                }
                dependent.missing -= 1;
                if dependent.missing == 0 {
                    self.start(place);
                }
            }
        }
    }

    /// Wants a step and all that it needs.
    fn want(&mut self, step: usize) {
        let mut wanted = vec![step];
        while let Some(step) = wanted.pop() {
            if self.nodes[step].state != State::Idle {
                continue;
            }
            self.nodes[step].state = State::Wanted;
            let needs = self.nodes[step].needs.clone();
            let missing = needs.iter().filter(|&&need| !self.is_done(need)).count();
            self.nodes[step].missing = missing;
            if needs
                .iter()
                .any(|&need| self.nodes[need].state == State::Failed)
            {
                self.end(step, false);
            } else if missing == 0 {
                self.start(step);
            }
            wanted.extend(needs);
        }
    }

    fn start(&mut self, step: usize) {
        let phase = Phase::Start;
        self.ready.push_back(Turn { step, phase });
    }
}
