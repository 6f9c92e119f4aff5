// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import ServiceModel
import Synchronization

// MARK: Names

extension DiscoveryLog {
    /// Tells an answer that is another than the last one; in which order the addresses come means nothing.
    func lookedUp(_ name: String, _ answer: NameAnswer) {
        var answer = answer
        if case .addresses(let addresses) = answer { answer = .addresses(addresses.sorted()) }
        guard state.withLock({ $0.lookups.updateValue(answer, forKey: name) }) != answer else { return }
        switch answer {
        case .addresses(let addresses):
            let list = addresses.map(\.description).joined(separator: ",")
            logger.info("name resolved", metadata: ["name": "\(name)", "addresses": "\(list)"])
        case .failure(let reason):
            logger.warning(
                "name cannot be resolved; what is known of it is kept",
                metadata: ["name": "\(name)", "error": "\(reason)"])
        }
    }

    /// Names that nobody asks for any more are told anew when somebody does.
    func forgetLookups(but names: Set<String>) {
        state.withLock { state in state.lookups = state.lookups.filter { names.contains($0.key) } }
    }
}
