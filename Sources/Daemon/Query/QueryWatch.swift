// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Discovery
private import FoundationEssentials
private import Glibc
package import Registry
private import ServiceModel

/// Shows an answer again whenever what it was made of has changed: `--watch`.
///
/// Bursts of changes are one. That knowledge has become stale, or is fresh again, is a change too; on a terminal the time
/// left on leases is asked for anew every 5 s.
package struct QueryWatch: Sendable {
    /// Text and JSON of one moment.
    package struct Answer: Sendable {
        package let text: String
        package let json: JSONObject

        package init(text: String, json: JSONObject) {
            self.text = text
            self.json = json
        }
    }

    private static let burst = Duration.milliseconds(200)
    /// Between two looks at how fresh what is known is.
    private static let look = Duration.seconds(1)
    private static let refresh = Duration.seconds(5)

    private let store: any RegistryStore
    private let ranges: [RegistryRange]
    private let printsJSON: Bool
    private let answer: @Sendable ([RegistryRange: RegistryListing]) async -> Answer

    /// - Parameters:
    ///   - ranges: what the answer is made of.
    ///   - answer: makes it.
    package init(
        store: any RegistryStore, ranges: [RegistryRange], printsJSON: Bool,
        answer: @escaping @Sendable ([RegistryRange: RegistryListing]) async -> Answer
    ) {
        self.store = store
        self.ranges = ranges
        self.printsJSON = printsJSON
        self.answer = answer
    }

    /// Runs until nobody reads any more, or until cancelled.
    package func run() async throws {
        let changes = Signal()
        let mirror = RangeMirror(store: store, ranges: ranges, changes: changes)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await mirror.run() }
            group.addTask { try await show(mirror, changes) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func show(_ mirror: RangeMirror, _ changes: Signal) async throws {
        let elapsed = ContinuousClock().stopwatch()
        var shown: [RegistryRange: RegistryListing]?
        var wasStale = false
        var (changed, refreshed) = (Date.now, Duration.zero)
        while true {
            await changes.wait(until: elapsed() + Self.look, by: ContinuousClock(), elapsed)
            try Task.checkCancellation()
            let isStale = store.health.staleSince != nil
            guard let listings = mirror.listings else { continue }
            let view = view
            let isNew = listings != shown || isStale != wasStale
            guard isNew || isTerminal(view) && elapsed() - refreshed >= Self.refresh else { continue }
            if isNew { changed = .now }
            (shown, wasStale, refreshed) = (listings, isStale, elapsed())
            let answer = await answer(listings)
            let text = printsJSON ? String(decoding: answer.json.encoded(), as: UTF8.self) : answer.text
            guard Console.answer(view.frame(text, time: changed)) else { return }
            try await Task.sleep(for: Self.burst)
        }
    }

    private func isTerminal(_ view: LiveView) -> Bool { if case .terminal = view { true } else { false } }

    /// Asked each time: terminals are resized.
    private var view: LiveView {
        if printsJSON { return .json }
        guard isatty(STDOUT_FILENO) == 1 else { return .stream }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return .terminal(columns: 80, lines: 24)
        }
        return .terminal(columns: Int(size.ws_col), lines: Int(size.ws_row))
    }
}
