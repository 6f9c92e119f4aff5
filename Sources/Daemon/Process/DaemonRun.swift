// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
package import Logging
package import ServiceLifecycle
private import UnixSignals

/// What every long-running command does around its own work.
package enum DaemonRun {
    package static let failure: Int32 = EXIT_FAILURE

    /// The process's logger: lines on standard error. Taken once, at start.
    package static func makeLogger(level: Logger.Level) -> Logger {
        LoggingSystem.bootstrap { _ in LineLogHandler(level: level) }
        return Logger(label: "legation")
    }

    /// Before anything else: a peer that went away must be an errno, not the end of the process.
    package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// From now on SIGTERM and SIGINT end the process at once, until `run` takes them over. The first process of a container
    /// would ignore them otherwise, and there is work before: a name is looked up, a port tried.
    package static func endAtSignals() {
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(EXIT_SUCCESS) } }
    }

    /// Runs `services` until the first SIGTERM or SIGINT has been carried out, or one of them fails.
    ///
    /// They start together; they are stopped one after the other, the last one first.
    /// - Parameter complaint: what to tell the operator of an error that only he can mend; nil for every other.
    /// - Returns: exit status: 0 after a signal, 64 after a complaint, which is printed, 1 after any other failure, which
    ///   is logged.
    package static func run(
        _ services: [any Service], logger: Logger, complaint: (any Error) -> String? = { _ in nil }
    ) async -> Int32 {
        var quiet = logger
        // Its own lines about each service's turn are for whoever debugs this program.
        quiet.logLevel = logger.logLevel == .trace ? .trace : .critical
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        do {
            try await group.run()
            logger.info("stopped")
            return EXIT_SUCCESS
        } catch {
            if let complaint = complaint(error) {
                Console.complain(complaint)
                return UsageError.exitStatus
            }
            logger.critical("stopped by an error", metadata: ["error": "\(error)"])
            return EXIT_FAILURE
        }
    }
}

/// A service made of a closure that runs until it is cancelled, for parts that know no `ServiceLifecycle`.
package struct CancelledAtShutdown: Service {
    private let body: @Sendable () async throws -> Void

    package init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            do { try await body() } catch is CancellationError {}
        }
    }
}

/// A service made of a closure that ends by itself once it has been told to.
package struct ToldAtShutdown: Service {
    private let body: @Sendable () async throws -> Void
    private let tell: @Sendable () -> Void

    package init(
        _ body: @escaping @Sendable () async throws -> Void, atShutdown tell: @escaping @Sendable () -> Void
    ) {
        self.body = body
        self.tell = tell
    }

    package func run() async throws {
        try await withGracefulShutdownHandler {
            try await body()
        } onGracefulShutdown: {
            tell()
        }
    }
}
