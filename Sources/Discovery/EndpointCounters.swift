// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// What has happened in one service since this process began to look at it.
package struct EndpointCounters: Sendable, Hashable {
    /// Times an entry was found unusable, by reason.
    package var skipped: [SkipReason: Int] = [:]
    /// Events and listings that told what was known already, or less.
    package var repetitions = 0
    package var olderListings = 0
    /// Keys that differed although the watch should have told (`discovery_drift_total`).
    package var drift = 0

    package init() {}
}
