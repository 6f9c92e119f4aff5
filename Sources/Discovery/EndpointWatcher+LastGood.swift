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
    /// What has not changed is saved again this often while the registry speaks: a file that nobody touches for days
    /// would be taken for knowledge of that age.
    private static let refreshInterval = Duration.seconds(60)

    /// What was saved last, and when.
    private struct Saved {
        let content: LastGood
        let changes: Int
        let at: Duration
    }

    /// Takes up what an earlier process knew, or what a single member knows, while the registry as a whole is silent.
    func startWithoutRegistry() async throws {
        try await clock.sleep(for: Self.patience)
        if let file = configuration.lastGood, !unlisted.isEmpty { takeUp(file) }
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

    private func takeUp(_ file: any LastGoodStore) {
        do {
            guard let lastGood = try file.load() else { return }
            let wallClock = wallClock()
            let age = try lastGood.age(at: wallClock)
            let silence = silence
            apply { tables, now in
                let words = Self.words(lastGood, wallClock: wallClock, now: now)
                let orders = tables.restore(lastGood, age: age, words: words, now: now)
                // Before anybody sees a snapshot of what is too old to be believed.
                for belief in tables.silent(for: silence, now: now) { log.believes(belief) }
                return orders
            }
            log.tookUp(lastGood, age: age)
        } catch {
            log.refusedLastGood("\(error)")
        }
    }

    // MARK: Saving

    /// Saves what is known, when it has changed and the registry itself has said it, and now and then when it has not.
    func keepLastGood(in file: any LastGoodStore) async throws {
        var saved: Saved?
        // What came too late for its turn, and when it was last true: one writing, which no end has to wait for.
        defer { save(in: file, over: &saved, refreshingAfter: Self.savingInterval) }
        while true {
            let due = saved.map { $0.at + Self.refreshInterval }
            await unsaved.wait(until: due, by: clock, elapsed)
            try Task.checkCancellation()
            let begun = elapsed()
            save(in: file, over: &saved, refreshingAfter: Self.refreshInterval)
            let pause = (elapsed() - begun) / Self.savingShare
            try await clock.sleep(for: max(Self.savingInterval, pause))
        }
    }

    private func save(in file: any LastGoodStore, over saved: inout Saved?, refreshingAfter interval: Duration) {
        let silence = silence
        // A copy: making a file of ten thousand records would keep the relay's news waiting.
        let (tables, now) = state.withLock { ($0.tables, elapsed()) }
        let isOld = silence == nil && saved.map { now - $0.at >= interval } ?? true
        guard isOld || tables.changes != saved?.changes else { return }
        // What changes while the registry is silent is not news of the registry.
        let savedAt = wallClock().addingTimeInterval(-((silence ?? .zero) / .seconds(1)))
        guard let lastGood = tables.lastGood(of: file.origin, savedAt: savedAt.formatted(.iso8601)) else { return }
        guard isOld || lastGood.services != saved?.content.services || lastGood.words != saved?.content.words else {
            saved = saved.map { Saved(content: $0.content, changes: tables.changes, at: $0.at) }
            return
        }
        do {
            try file.save(lastGood)
            saved = Saved(content: lastGood, changes: tables.changes, at: now)
            log.savedLastGood()
        } catch {
            log.cannotSave("\(error)")
        }
    }
}

extension LastGood {
    /// How long ago the registry said so; never less than nothing, whatever the clock was set to since.
    fileprivate func age(at wallClock: Date) throws(Refusal) -> Duration {
        guard let saved = try? Date(savedAt, strategy: .iso8601) else { throw .form }
        return .seconds(max(0, wallClock.timeIntervalSince(saved)))
    }
}
