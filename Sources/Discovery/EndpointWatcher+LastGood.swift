// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import Registry
import ServiceModel
import Synchronization

// MARK: Beginning without the registry, and leaving something to begin with

extension EndpointWatcher {
    /// How long the registry has at the start before somebody else is asked: an etcd that is there answers in a tenth of
    /// it, and a proxy that was killed is to serve again within a second (docs/promises.md, "Starting").
    static let patience = Duration.milliseconds(500)
    /// Between two readings of a member that can ask no other.
    private static let unconfirmedInterval = Duration.seconds(1)
    /// At least this lies between two savings.
    private static let savingInterval = Duration.seconds(1)
    /// Nor shall saving take more than this part of a core, however many instances there are.
    private static let savingShare = 0.02

    /// Takes up what an earlier process knew, or what a single member knows, while the registry as a whole is silent.
    func startWithoutRegistry() async throws {
        try await clock.sleep(for: Self.patience)
        if let store = configuration.lastGood, !unlisted.isEmpty {
            do {
                if let lastGood = try store.load() {
                    let wallClock = wallClock()
                    apply { tables, now in
                        let words = Self.words(lastGood, wallClock: wallClock, now: now)
                        return tables.restore(lastGood, words: words, now: now)
                    }
                    log.tookUp(lastGood, now: wallClock)
                }
            } catch {
                log.refusedLastGood("\(error)")
            }
        }
        goWithoutOverrides()
        while true {
            let waiting = unlisted
            if waiting.isEmpty { return }
            // First, as everywhere: what they take out is not to be used for a moment.
            await presumeOverrides()
            for scope in scopes where scope.services.contains(where: waiting.contains) {
                // Whatever fails here, `follow` tells why.
                guard let listing = try? await self.store.listUnconfirmed(scope.range) else { continue }
                apply { tables, now in
                    // The registry itself may have answered meanwhile.
                    guard scope.services.contains(where: tables.unlisted.contains) else { return [] }
                    return tables.listed(listing, of: scope.services, isConfirmed: false, now: now) ?? []
                }
                log.unconfirmed(scope.range, revision: listing.revision)
            }
            try await clock.sleep(for: Self.unconfirmedInterval)
        }
    }

    private var unlisted: [ServiceName] { state.withLock { $0.tables.unlisted } }

    /// Saves what is known, when it has changed and the registry itself has said it.
    func keepLastGood(in store: any LastGoodStore) async throws {
        var saved: LastGood?
        while true {
            await unsaved.wait()
            try Task.checkCancellation()
            let begun = elapsed()
            let savedAt = Date.now.formatted(.iso8601)
            if let lastGood = state.withLock({ $0.tables.lastGood(of: store.origin, savedAt: savedAt) }),
                lastGood.services != saved?.services || lastGood.words != saved?.words
            {
                do {
                    try store.save(lastGood)
                    saved = lastGood
                    log.savedLastGood()
                } catch {
                    log.cannotSave("\(error)")
                }
            }
            let pause = (elapsed() - begun) / Self.savingShare
            try await clock.sleep(for: max(Self.savingInterval, pause))
        }
    }
}
