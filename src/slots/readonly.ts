/** What a value becomes when it is published: frozen all the way down. */

type Untouched =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | RegExp
  | Error
  | ArrayBuffer
  | ArrayBufferView

/**
 * `T` as readers have it. Binary views, and what is inside a Date, the language cannot freeze; they
 * stay as they are. `unknown` and `any` stay, too.
 */
export type DeepReadonly<T> = T extends Untouched
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>>
    : T extends ReadonlySet<infer V>
      ? ReadonlySet<DeepReadonly<V>>
      : T extends object
        ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
        : T
