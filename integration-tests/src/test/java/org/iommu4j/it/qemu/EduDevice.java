// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

/** QEMU's EDU device. Source: QEMU's {@code docs/specs/edu.txt}. */
final class EduDevice implements DmaDevice {
    private static final int SOURCE = 0x80;
    private static final int DESTINATION = 0x88;
    private static final int COUNT = 0x90;
    private static final int COMMAND = 0x98;
    private static final int START = 1;
    private static final int FROM_DEVICE = 2;
    private static final long BUFFER = 0x40000;
    private static final int MOST_POLLS = 1_000_000;

    private final QtestSocket qtest;
    private final String name;
    private final long bar;

    /**
     * Takes a device whose BAR is programmed and which may be bus master.
     *
     * @param bar physical address of its registers
     */
    EduDevice(QtestSocket qtest, String name, long bar) {
        this.qtest = qtest;
        this.name = name;
        this.bar = bar;
    }

    @Override
    public void read(long iova, int slot, int words) {
        transfer(iova, BUFFER + slot * 8L, words, START);
    }

    @Override
    public void write(int slot, long iova, int words) {
        transfer(BUFFER + slot * 8L, iova, words, START | FROM_DEVICE);
    }

    private void transfer(long from, long to, int words, int command) {
        qtest.write64(bar + SOURCE, from);
        qtest.write64(bar + DESTINATION, to);
        qtest.write64(bar + COUNT, words * 8L);
        qtest.write64(bar + COMMAND, command);
        for (int poll = 0; poll < MOST_POLLS; poll++) {
            if ((qtest.read64(bar + COMMAND) & START) == 0) {
                return;
            }
        }
        throw new IllegalStateException(name + ": DMA of " + words + " words from 0x" + Long.toHexString(from)
                + " to 0x" + Long.toHexString(to) + " still runs after " + MOST_POLLS + " looks");
    }
}
