// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Registry
import Synchronization

// MARK: Beginning without the registry

extension DiscoveryLog {
    func tookUp(_ lastGood: LastGood, age: Duration) {
        let metadata: Logger.Metadata = [
            "saved": "\(lastGood.savedAt)", "revision": "\(lastGood.revision)",
            "instances": "\(lastGood.services.values.reduce(0) { $0 + $1.count })",
            "age": "\(age.components.seconds)s",
        ]
        logger.warning("registry is silent; began with what was known last", metadata: metadata)
    }

    func refusedLastGood(_ reason: String) {
        logger.warning("what was known last is not used", metadata: ["reason": "\(reason)"])
    }

    /// A full disk is told of once, not every second.
    func cannotSave(_ reason: String) {
        guard state.withLock({ $0.cannotSave.updateValue(true) }) else { return }
        logger.warning(
            "what is known cannot be saved; a start without the registry would know nothing",
            metadata: ["reason": "\(reason)"])
    }

    func savedLastGood() {
        guard state.withLock({ $0.cannotSave.updateValue(false) }) else { return }
        logger.info("what is known can be saved again")
    }

    func unconfirmed(_ range: RegistryRange, revision: Int64) {
        logger.warning(
            "registry has no quorum; began with what one member knows",
            metadata: ["range": "\(range)", "revision": "\(revision)"])
    }
}

extension Bool {
    /// - Returns: whether it was another.
    fileprivate mutating func updateValue(_ new: Bool) -> Bool {
        defer { self = new }
        return self != new
    }
}
