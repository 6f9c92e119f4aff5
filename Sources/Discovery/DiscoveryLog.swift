// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Registry
import ServiceModel
import Synchronization

/// What Discovery tells: changes of state, each once. Messages are constant, data is metadata.
final class DiscoveryLog: Sendable {
    /// Skipped entries told one by one in one second, after which they are only counted: a range of garbage is one
    /// accident, not ten thousand.
    private static let skippedPerSecond = 20

    struct State {
        /// Ranges that could not be read, with the last reason.
        var failing: [RegistryRange: RegistryError.Code] = [:]
        var second = Duration.zero
        var skippedInSecond = 0
        var cannotSave = false
        /// Keys of operators' words that cannot be read.
        var badOverrides: Set<String> = []
        /// What became of each name last.
        var lookups: [String: NameAnswer] = [:]
    }

    let logger: Logger
    let state = Mutex(State())

    init(_ logger: Logger) { self.logger = logger }

    func changed(_ service: ServiceName, _ summary: ServiceTables.Summary, sequence: UInt64?) {
        var metadata: Logger.Metadata = [
            "service": "\(service)", "up": "\(summary.up)", "held": "\(summary.held)",
            "draining": "\(summary.draining)", "skipped": "\(summary.skipped)",
        ]
        if summary.others > 0 { metadata["others"] = "\(summary.others)" }
        if summary.changes > 1 { metadata["changes"] = "\(summary.changes)" }
        logger.info("endpoint set changed", metadata: metadata)
        if let sequence { logger.debug("snapshot", metadata: ["service": "\(service)", "sequence": "\(sequence)"]) }
    }

    func tell(_ notice: EndpointNotice, of service: ServiceName, now: Duration) {
        switch notice {
        case .skipped(let key, let reason):
            guard mayTellSkipped(now) else { return }
            logger.warning(
                "entry skipped",
                metadata: [
                    "service": "\(service)", "key": "\(key)", "reason": "\(reason.rawValue)", "why": "\(reason)",
                ])
        case .held(let key, let endpoint, let until):
            let seconds = (until - now + .milliseconds(500)).components.seconds
            logger.warning(
                "instance held",
                metadata: [
                    "service": "\(service)", "key": "\(key)", "endpoint": "\(endpoint)", "for": "\(seconds)s",
                ])
        case .holdEnded(let key, let endpoint, let end):
            logger.info(
                "hold ended",
                metadata: [
                    "service": "\(service)", "key": "\(key)", "endpoint": "\(endpoint)",
                    "reason": "\(end.rawValue)",
                ])
        }
    }

    private func mayTellSkipped(_ now: Duration) -> Bool {
        state.withLock { state in
            if now - state.second >= .seconds(1) {
                state.second = now
                state.skippedInSecond = 0
            }
            state.skippedInSecond += 1
            return state.skippedInSecond <= Self.skippedPerSecond
        }
    }

    func readable(_ range: RegistryRange) {
        guard let code = state.withLock({ $0.failing.removeValue(forKey: range) }) else { return }
        let level = code == .unavailable ? Logger.Level.debug : .info
        logger.log(level: level, "registry readable again", metadata: ["range": "\(range)"])
    }

    /// That the registry cannot be reached is told by its client; that it does not let us is told here.
    func unreadable(_ range: RegistryRange, _ error: RegistryError) {
        guard error.code != .cancelled else { return }
        let isNew = state.withLock { $0.failing.updateValue(error.code, forKey: range) != error.code }
        guard isNew else { return }
        let level = error.code == .unavailable ? Logger.Level.debug : .warning
        logger.log(
            level: level, "registry not readable; what is known is kept",
            metadata: ["range": "\(range)", "error": "\(error)"])
    }

    func kept(_ service: ServiceName) {
        logger.warning("no instance is left; the last ones are used on", metadata: ["service": "\(service)"])
    }

    /// A link's instances are no longer used, or again.
    func believes(_ belief: ServiceTables.Belief) {
        var metadata: Logger.Metadata = ["service": "\(belief.service)"]
        if let age = belief.age { metadata["silence"] = "\(age)" }
        if belief.isBelieved {
            logger.info("instances used again", metadata: metadata)
        } else {
            logger.warning("registry silent for too long; instances dropped", metadata: metadata)
        }
    }

    /// Each key is told of once, for as long as it stands so.
    func badOverrides(_ problems: [(key: String, reason: SkipReason)]) {
        let known = state.withLock { state in
            defer { state.badOverrides = Set(problems.map(\.key)) }
            return state.badOverrides
        }
        for (key, reason) in problems where !known.contains(key) {
            logger.warning(
                "override skipped", metadata: ["key": "\(key)", "reason": "\(reason.rawValue)", "why": "\(reason)"])
        }
    }

    func drifted(_ keys: Int, in range: RegistryRange) {
        logger.warning("watch had missed changes", metadata: ["range": "\(range)", "keys": "\(keys)"])
    }

    func olderListing(_ range: RegistryRange, revision: Int64, known: Int64) {
        logger.debug(
            "listing older than what is known",
            metadata: ["range": "\(range)", "revision": "\(revision)", "known": "\(known)"])
    }

    func historyWentBack(_ range: RegistryRange, revision: Int64, known: Int64) {
        logger.warning(
            "registry was restored to an earlier state",
            metadata: ["range": "\(range)", "revision": "\(revision)", "known": "\(known)"])
    }
}
