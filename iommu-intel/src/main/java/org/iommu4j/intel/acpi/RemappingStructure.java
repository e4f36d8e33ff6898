// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.List;

/** A structure of DMAR, VT-d 8.2. */
public sealed interface RemappingStructure {
    /** Returns its offset from the table's start, in bytes. */
    int offset();

    /** Returns its length in bytes. */
    int length();

    /** Returns its type number. */
    int type();

    /**
     * A remapping unit, type 0, VT-d 8.3.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param flags bit 0: translates for every function of the segment that no other unit names
     * @param size bits 3:0: the register set's size is 2^size pages
     * @param segment PCI segment
     * @param registerBase physical address
     * @param scopes the devices that it translates for
     */
    record Drhd(int offset, int length, int flags, int size, int segment, long registerBase, List<DeviceScope> scopes)
            implements RemappingStructure {
        /** Copies the scopes. */
        public Drhd {
            scopes = List.copyOf(scopes);
        }

        @Override
        public int type() {
            return 0;
        }

        /** Returns whether it translates for every function of the segment that no other unit names. */
        public boolean includeAll() {
            return (flags & 1) != 0;
        }
    }

    /**
     * Memory that devices continue to use, type 1, VT-d 8.4.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param segment PCI segment
     * @param base first byte
     * @param limit last byte
     * @param scopes the devices that use it
     */
    record Rmrr(int offset, int length, int segment, long base, long limit, List<DeviceScope> scopes)
            implements RemappingStructure {
        /** Copies the scopes. */
        public Rmrr {
            scopes = List.copyOf(scopes);
        }

        @Override
        public int type() {
            return 1;
        }
    }

    /**
     * Root ports that support ATS, type 2, VT-d 8.5.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param flags bit 0: all root ports of the segment
     * @param segment PCI segment
     * @param scopes the root ports
     */
    record Atsr(int offset, int length, int flags, int segment, List<DeviceScope> scopes)
            implements RemappingStructure {
        /** Copies the scopes. */
        public Atsr {
            scopes = List.copyOf(scopes);
        }

        @Override
        public int type() {
            return 2;
        }
    }

    /**
     * The NUMA node of a unit, type 3, VT-d 8.6.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param registerBase the unit
     * @param proximityDomain its node
     */
    record Rhsa(int offset, int length, long registerBase, long proximityDomain) implements RemappingStructure {
        @Override
        public int type() {
            return 3;
        }
    }

    /**
     * An ACPI device, type 4, VT-d 8.7.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param deviceNumber the enumeration id by which scopes name it
     * @param name its path in the ACPI namespace
     */
    record Andd(int offset, int length, int deviceNumber, String name) implements RemappingStructure {
        @Override
        public int type() {
            return 4;
        }
    }

    /**
     * Integrated devices with translation caches, type 5, VT-d 8.8.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param flags bit 0: they need ATS to work
     * @param segment PCI segment
     * @param scopes the devices
     */
    record Satc(int offset, int length, int flags, int segment, List<DeviceScope> scopes)
            implements RemappingStructure {
        /** Copies the scopes. */
        public Satc {
            scopes = List.copyOf(scopes);
        }

        @Override
        public int type() {
            return 5;
        }
    }

    /**
     * Properties of integrated devices, in their scopes' flags, type 6, VT-d 8.9.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param segment PCI segment
     * @param scopes the devices
     */
    record Sidp(int offset, int length, int segment, List<DeviceScope> scopes) implements RemappingStructure {
        /** Copies the scopes. */
        public Sidp {
            scopes = List.copyOf(scopes);
        }

        @Override
        public int type() {
            return 6;
        }
    }

    /**
     * A structure of an unknown type.
     *
     * @param offset bytes from the table's start
     * @param length bytes
     * @param type its type number
     */
    record Unknown(int offset, int length, int type) implements RemappingStructure {}
}
