// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import CLinux
private import Dispatch
package import ServiceModel

/// Asks the system's resolver, on a thread of its own: `getaddrinfo` blocks for as long as DNS servers are silent, and
/// the threads that tasks run on must not.
package struct NameLookup: Sendable {
    package typealias Answer = NameAnswer

    private let queue: DispatchQueue
    private let resolve: @Sendable (String) -> Answer

    /// - Parameter resolve: blocks until it has the answer; the system's resolver unless a test says otherwise.
    package init(resolve: @escaping @Sendable (String) -> Answer = { NameLookup.askSystem($0) }) {
        queue = DispatchQueue(label: "legation.resolver")
        self.resolve = resolve
    }

    /// Looks `names` up one after the other, and yields each answer as it comes. Leaving the sequence early is safe:
    /// the lookup under way ends by itself, the others are not begun.
    package func answers(for names: [String]) -> AsyncStream<(name: String, answer: Answer)> {
        let (stream, continuation) = AsyncStream.makeStream(of: (name: String, answer: Answer).self)
        queue.async { [resolve] in
            for name in names {
                if case .terminated = continuation.yield((name, resolve(name))) { return }
            }
            continuation.finish()
        }
        return stream
    }

    /// Of one name; empty when it is not known, or not in time.
    package func addresses(of name: String, within limit: Duration) async -> [IPAddress] {
        await withTaskGroup(of: [IPAddress].self) { group in
            group.addTask {
                for await (_, answer) in answers(for: [name]) {
                    if case .addresses(let found) = answer { return found }
                }
                return []
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return []
            }
            defer { group.cancelAll() }
            return await group.next() ?? []
        }
    }

    package static func askSystem(_ name: String) -> Answer {
        var addresses: [IPAddress] = []
        let status = withUnsafeMutablePointer(to: &addresses) { list in
            clinux_resolve(name, list) { context, _, address in
                let list = context?.assumingMemoryBound(to: [IPAddress].self)
                let address = IPAddress(networkOrder: address)
                if list?.pointee.contains(address) == false { list?.pointee.append(address) }
            }
        }
        guard status == 0 else { return .failure(String(cString: clinux_resolve_error(status))) }
        return addresses.isEmpty ? .failure("no address") : .addresses(addresses)
    }
}

/// Each name on a thread of its own: registries can name hosts whose servers are silent, and the others do not wait for
/// those.
package struct SystemResolver: NameResolver {
    package init() {}

    package func answer(for name: String) async -> NameAnswer {
        for await (_, answer) in NameLookup().answers(for: [name]) { return answer }
        return .failure("cancelled")
    }
}
