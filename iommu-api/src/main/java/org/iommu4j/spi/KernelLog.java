// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import org.iommu4j.pci.PciAddress;

/**
 * The lines that a vendor's driver prints into the kernel's log, and their meaning. Has no state [log-1].
 *
 * <p>The lines that every vendor's host has (release, command line, functions, groups) are read elsewhere. Here are
 * those of the driver alone, in all releases whose hosts people ask about.
 */
public interface KernelLog {
    /** A vendor of whose lines nothing is known. */
    KernelLog NONE = new KernelLog() {
        @Override
        public List<String> words() {
            return List.of();
        }

        @Override
        public void read(String line, Findings findings) {
            Objects.requireNonNull(line, "line");
            Objects.requireNonNull(findings, "findings");
        }
    };

    /**
     * Returns words of which at least one is in every line that the driver prints, for example {@code DMAR}
     * [log-words-1]. They are looked for as they are written, and each has at least four characters [log-words-2].
     */
    List<String> words();

    /**
     * Reads a line that has one of the words, and reports its meaning. Most lines mean nothing.
     *
     * <p>Returns for every line, without an exception, whatever the line says [log-read-1].
     *
     * @param line one line with anything before the message, printable and at most 8192 characters; not to be trusted
     */
    void read(String line, Findings findings);

    /** The receiver of what lines say. Where two lines differ, the later one takes precedence. */
    interface Findings {
        /**
         * A unit.
         *
         * @param name as it is called under {@code sys/class/iommu}, for example {@code dmar0}
         * @param registerBase physical address of its registers, empty when the line does not have it
         * @param registers values by the manual's mnemonic
         */
        void unit(String name, OptionalLong registerBase, Map<String, Long> registers);

        /** Register values, by the manual's mnemonic, that hold for every unit of the host. */
        void everyUnit(Map<String, Long> registers);

        /**
         * Whether a unit has every function of its segment that no other unit names, where the log shows that apart
         * from the unit. The default ignores it.
         *
         * @param registerBase physical address of the unit's registers
         */
        default void includeAll(long registerBase, boolean includeAll) {}

        /** Interrupts are remapped, or turning that on failed; having been on takes precedence over having failed. */
        void interruptRemapping(boolean on);

        /** DMA is translated, or the driver was told to leave it alone; being in use takes precedence. */
        void inUse(boolean inUse);

        /** The line shows that the driver has units on this host. */
        default void present() {}

        /** The line is about a unit that is a PCI function; it shows that the driver has units on this host. */
        default void unitFunction(PciAddress function) {
            Objects.requireNonNull(function, "function");
        }

        /** The line is one that an operator must know. */
        default void remark(KernelRemark remark) {
            Objects.requireNonNull(remark, "remark");
        }

        /**
         * The driver maps memory one to one for a device, because firmware asks for it.
         *
         * @param start first physical address
         * @param end last physical address
         */
        default void identityMap(PciAddress device, long start, long end) {
            Objects.requireNonNull(device, "device");
        }

        /** The driver keeps no device from user space because of memory that firmware wants mapped one to one. */
        default void regionsRelaxed() {}

        /** The driver has said all that it says at boot: a fact that it has not stated by now does not hold. */
        void done();
    }
}
