// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel

// MARK: Instances in the order of their slots

extension RandomAccessCollection<Instance> {
    /// Where the slot's tenant stands, or would: no instance before has that slot or a higher one.
    func place(ofSlot slot: UInt32) -> Index {
        var (low, count) = (startIndex, count)
        while count > 0 {
            let middle = index(low, offsetBy: count / 2)
            if self[middle].id.slot < slot {
                low = index(after: middle)
                count -= count / 2 + 1
            } else {
                count /= 2
            }
        }
        return low
    }

    func includes(_ id: InstanceID) -> Bool {
        let place = place(ofSlot: id.slot)
        return place < endIndex && self[place].id == id
    }
}
