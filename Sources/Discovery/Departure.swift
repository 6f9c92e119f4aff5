// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

/// An instance whose key went, in the words that it stood in last.
struct Lost: Sendable {
    let key: EntryKey
    let member: Member
}

/// An instance without a key, from its key's delete until it no longer counts.
struct Departure: Sendable {
    enum Phase: Sendable, Hashable {
        /// Rule 2: the lease of its key is in question; in use.
        case asking(until: Duration)
        /// Rule 3, about to be decided; in use.
        case leaving
        /// Rule 3 let it go at once.
        case gone
        /// In use if it was when it was asked.
        case probing
        /// It accepted a connection; in use.
        case held(nextProbe: Duration)
        /// It accepted none: gone for good.
        case refused
    }

    /// The last key that stood for it.
    let key: EntryKey
    /// As an operator's word has it now.
    var member: Member
    let lease: RegistryLease?
    let modRevision: Int64
    /// That its key went with; 0 when nobody told.
    var deletedAt: Int64 = 0
    /// When its key went.
    let leftAt: Duration
    /// When it is dropped, at the latest. Moved on only while nothing can be learned from the registry (rule 4).
    var until: Duration
    var phase: Phase
    /// Of the lease or probe that is asked after; an answer to another is out of date.
    var question = 0
    var isHeld = false

    /// Whether it counts among what has gone by rule 3.
    var counts: Bool {
        if case .asking = phase { false } else { true }
    }
}
