// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.iommu4j.platform.ProcessMemory;

/** A process, one page of which is slow to be pinned, or to be unpinned: the thread waits until a test goes on. */
public final class PausingProcess implements ProcessMemory {
    private final TestProcess process;
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch goesOn = new CountDownLatch(1);
    private volatile long slowToPin = UNMAPPED;
    private volatile long slowToUnpin = UNMAPPED;

    /** Makes one that has the pages of another. */
    public PausingProcess(TestProcess process) {
        this.process = process;
    }

    /** Has the next thread that pins a page at a virtual address wait. */
    public void pauseAtPin(long virtualAddress) {
        slowToPin = virtualAddress;
    }

    /** Has the next thread that unpins a frame wait. */
    public void pauseAtUnpin(long frame) {
        slowToUnpin = frame;
    }

    /** Waits until a thread waits. */
    public void awaitPause() {
        await(reached);
    }

    /** Has the thread go on. */
    public void goOn() {
        slowToPin = UNMAPPED;
        slowToUnpin = UNMAPPED;
        goesOn.countDown();
    }

    private void pause() {
        reached.countDown();
        await(goesOn);
    }

    private static void await(CountDownLatch latch) {
        try {
            if (!latch.await(60, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the other thread did not come");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public long translate(long virtualAddress) {
        return process.translate(virtualAddress);
    }

    @Override
    public void pin(long virtualAddress, int count, boolean write, long[] frames) {
        if (virtualAddress == slowToPin) {
            pause();
        }
        process.pin(virtualAddress, count, write, frames);
    }

    @Override
    public void unpin(long frame, boolean dirty) {
        if (frame == slowToUnpin) {
            pause();
        }
        process.unpin(frame, dirty);
    }

    @Override
    public long pinned() {
        return process.pinned();
    }

    @Override
    public void charge(long pages) {
        process.charge(pages);
    }

    @Override
    public void uncharge(long pages) {
        process.uncharge(pages);
    }

    @Override
    public long charged() {
        return process.charged();
    }
}
