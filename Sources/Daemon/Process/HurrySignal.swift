// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
private import ServiceLifecycle
private import UnixSignals

/// Listens for the second SIGTERM or SIGINT: the first one lets the process end in peace (`ServiceGroup` sees to it),
/// the second one means now.
///
/// First in a group, so that it is stopped last and listens for as long as anything takes its time.
package struct HurrySignal: Sendable {
    /// What `hurry` sets going takes milliseconds; whoever is not done then hangs.
    private static let patience = Duration.seconds(1)

    private let hurry: @Sendable () -> Void

    /// - Parameter hurry: makes the process end at once, without waiting for it.
    package init(hurry: @escaping @Sendable () -> Void) { self.hurry = hurry }

    package func run() async {
        await cancelWhenGracefulShutdown {
            var signals = 0
            for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                signals += 1
                guard signals == 2 else { continue }
                hurry()
                try? await Task.sleep(for: Self.patience)
                if !Task.isCancelled { _exit(EXIT_FAILURE) }
            }
        }
    }
}
