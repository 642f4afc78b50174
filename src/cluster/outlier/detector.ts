// Runs the decisions of outlier detection for one cluster: on what workers report, and at every
// interval.

import type { OutlierDefinition } from '../../config/index.ts'
import type { NativeOutlierCount } from '../../native/index.ts'
import { every, type Timer } from '../../timers.ts'
import { type OutlierAction, OutlierDecisions } from './decisions.ts'

export interface OutlierCluster {
  /** What was counted since the last call. */
  window(): readonly NativeOutlierCount[]
  act(actions: readonly OutlierAction[]): void
}

export class OutlierDetector {
  readonly decisions: OutlierDecisions
  readonly #cluster: OutlierCluster
  #timer: Timer

  constructor(rules: OutlierDefinition, cluster: OutlierCluster) {
    this.decisions = new OutlierDecisions(rules)
    this.#cluster = cluster
    this.#timer = this.#start(rules)
  }

  #start({ interval }: OutlierDefinition): Timer {
    return every(interval, () => this.#sweep()).unref()
  }

  setRules(rules: OutlierDefinition): void {
    this.decisions.setRules(rules)
    this.#timer.stop()
    this.#timer = this.#start(rules)
  }

  stop(): void {
    this.#timer.stop()
  }

  add(host: number): void {
    this.decisions.add(host)
  }

  remove(host: number): void {
    this.decisions.remove(host)
  }

  consecutive(host: number, kind: Parameters<OutlierDecisions['consecutive']>[1]): void {
    this.#act(this.decisions.consecutive(host, kind, performance.now()))
  }

  checkSucceeded(host: number): void {
    this.#act(this.decisions.checkSucceeded(host, performance.now()))
  }

  #act(action: OutlierAction | undefined): void {
    if (action) this.#cluster.act([action])
  }

  #sweep(): void {
    const actions = this.decisions.sweep(this.#cluster.window(), performance.now())
    if (actions.length > 0) this.#cluster.act(actions)
  }
}
