/**
 * Looks for an order of the steps that the register explains and that keeps what ended before what began later: the algorithm
 * of Wing and Gong with Lowe's memory of where it has been ("Testing for linearizability", 2017), depth first, without recursion.
 *
 * Before it, the times of the steps are narrowed to what is certain. Four rules cut the search without losing an order: a read
 * that fits takes its place at once; positions of writes only grow, so none may be passed over; a value that is still to be seen
 * and that nobody will write again may not be replaced; what led nowhere leads nowhere with fewer optional steps left.
 */
import type { KeyStep } from './key-history.ts';
import { narrowSteps } from './narrow-steps.ts';
import {
  createOptionalChoice,
  type LikeSteps,
  likeStepsOf,
  mayFollowOptional,
  namesUnknownPosition,
} from './optional-steps.ts';
import { createPendingSteps } from './pending-steps.ts';
import { emptyRegister, type RegisterState, stateName, statesAfter } from './register-state.ts';
import { createVisited } from './visited-states.ts';

/** How far an order came, at the point where most required steps had their places. */
export interface DeadEnd {
  /** In their order, with the optional ones that were needed. */
  readonly placed: readonly KeyStep[];
  readonly state: RegisterState;
  /** Required steps of which one would have to be next. */
  readonly next: readonly KeyStep[];
}

export interface SearchResult {
  readonly verdict: 'linearizable' | 'not-linearizable' | 'undecided';
  /** How many different states were looked at. */
  readonly states: number;
  /** An order that explains the history, when there is one. */
  readonly order: readonly KeyStep[];
  /** After all of that order. */
  readonly state: RegisterState;
  /** Unless it is linearizable, or it was clear without search that it is not. */
  readonly deadEnd: DeadEnd | undefined;
}

interface Choice {
  readonly step: KeyStep;
  readonly group: LikeSteps | undefined;
  readonly state: RegisterState;
}

interface Frame {
  readonly state: RegisterState;
  /** What led here; undefined: the beginning. */
  readonly by: Choice | undefined;
  /** Steps that changed nothing here, and have their places. */
  readonly settled: readonly KeyStep[];
  readonly choices: Choice[];
  /** Optional steps are only looked at when no required one led anywhere. */
  hasOptional: boolean;
  readonly unseen: KeyStep | undefined;
  tried: number;
}

/** `isThorough`: goes on behind what can have no order any more, to come as far as it can; for explanations. */
export function searchLinearization(all: readonly KeyStep[], statesMax: number, isThorough = false): SearchResult {
  const steps = isThorough ? all : narrowSteps(all);
  if (steps === undefined)
    return { verdict: 'not-linearizable', states: 0, order: [], state: emptyRegister, deadEnd: undefined };
  const groups = likeStepsOf(steps);
  const chooseOptional = createOptionalChoice(groups, steps);
  const isNamed = namesUnknownPosition(steps);
  const pending = createPendingSteps(steps, groups);
  const visited = createVisited(groups, steps);
  const path: KeyStep[] = [];
  const frames: Frame[] = [];
  let requiredPlaced = 0;
  let farthest = -1;
  let deadEnd: DeadEnd | undefined;

  function place(step: KeyStep, group?: LikeSteps): void {
    pending.place(step, group);
    path.push(step);
    if (group === undefined) requiredPlaced += 1;
  }

  function unplace(step: KeyStep, group?: LikeSteps): void {
    pending.unplace(step, group);
    path.pop();
    if (group === undefined) requiredPlaced -= 1;
  }

  /** Places all that may be next, fit, and change nothing wherever they stand: reads and refusals. */
  function settle(state: RegisterState): KeyStep[] {
    const settled: KeyStep[] = [];
    for (let before = -1; before < settled.length; ) {
      before = settled.length;
      for (const step of pending.next().steps) {
        if (step.kind !== 'read' && step.kind !== 'conflict') continue;
        const [after, another] = statesAfter(state, step, 'valid');
        if (after !== state || another !== undefined) continue;
        place(step);
        settled.push(step);
      }
    }
    return settled;
  }

  function choicesAt(state: RegisterState, unseen: KeyStep | undefined, isOptional: boolean): Choice[] {
    const choices: Choice[] = [];
    const { steps: next, until } = pending.next();
    const consider = (step: KeyStep, group: LikeSteps | undefined): void => {
      // An optional step is placed right before what sees it, so nothing else may follow.
      if (unseen !== undefined && !mayFollowOptional(unseen, step, isNamed)) return;
      for (const after of statesAfter(state, step, pending.arrivalOf(step))) {
        if (isThorough || mayFollow(state, step, group, after)) choices.push({ step, group, state: after });
      }
    };
    if (!isOptional) for (const step of next) consider(step, undefined);
    for (const group of isOptional ? chooseOptional(next) : []) {
      const step = pending.nextOf(group, until);
      if (step !== undefined) consider(step, group);
    }
    return choices;
  }

  function mayFollow(state: RegisterState, step: KeyStep, group: LikeSteps | undefined, after: RegisterState): boolean {
    pending.place(step, group);
    const value = shownBy(state);
    const isPassedOver = after.reached > state.reached && pending.lowestPosition() < after.reached;
    const isLost = value !== shownBy(after) && pending.isLastChanceToSee(value);
    pending.unplace(step, group);
    return !isPassedOver && !isLost;
  }

  /** False: this has been seen before. */
  function enter(state: RegisterState, by: Choice | undefined): boolean {
    const settled = settle(state);
    const unseen = by?.group !== undefined && settled.length === 0 ? by.step : undefined;
    const name = `${pending.placesName()}|${stateName(state)}|${unseen?.index ?? ''}`;
    const isNew = visited.isNew(name, pending.optionalCounts());
    const isOpen = isNew && requiredPlaced < pending.requiredCount;
    const choices = isOpen ? choicesAt(state, unseen, false) : [];
    frames.push({ state, by, settled, choices, hasOptional: !isOpen, unseen, tried: 0 });
    return isNew;
  }

  function leave(): void {
    const frame = frames.pop();
    if (frame === undefined) return;
    noteDeadEnd(frame);
    for (let index = frame.settled.length - 1; index >= 0; index -= 1) {
      const step = frame.settled[index];
      if (step !== undefined) unplace(step);
    }
    if (frame.by !== undefined) unplace(frame.by.step, frame.by.group);
  }

  function noteDeadEnd({ state, by }: Frame): void {
    // Right behind an optional step that nobody saw, the state explains nothing.
    if (requiredPlaced <= farthest || (by?.group !== undefined && path.at(-1) === by.step)) return;
    farthest = requiredPlaced;
    deadEnd = { placed: [...path], state, next: pending.next().steps };
  }

  enter(emptyRegister, undefined);
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    if (requiredPlaced === pending.requiredCount)
      return {
        verdict: 'linearizable',
        states: visited.size(),
        order: [...path],
        state: frame.state,
        deadEnd: undefined,
      };
    if (frame.tried === frame.choices.length && !frame.hasOptional) {
      frame.choices.push(...choicesAt(frame.state, frame.unseen, true));
      frame.hasOptional = true;
    }
    const choice = frame.choices[frame.tried];
    if (choice === undefined) {
      leave();
      continue;
    }
    if (visited.size() >= statesMax) {
      noteDeadEnd(frame);
      return { verdict: 'undecided', states: visited.size(), order: [], state: emptyRegister, deadEnd };
    }
    frame.tried += 1;
    place(choice.step, choice.group);
    if (!enter(choice.state, choice)) leave();
  }
  return { verdict: 'not-linearizable', states: visited.size(), order: [], state: emptyRegister, deadEnd };
}

/** The value that a read sees. */
const shownBy = ({ isPresent, message }: RegisterState): string | null => (isPresent ? (message?.value ?? null) : null);
