"""Reports in the formats that Vivado and nextpnr write, cut down to what is read; Vivado's figures are made up."""

import json

TIMING = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.1 (lin64) Build 3526262 Mon Apr 18 15:47:01 MDT 2022
| Date         : Mon Jan  1 00:00:00 2024
| Design       : top
| Device       : 7z020-clg400
| Speed File   : -1  PRODUCTION 1.12 2019-11-22
---------------------------------------------------------------------------------------------------------------

Timing Summary Report

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
      {wns}        {tns}                      0                12345        {whs}        0.000                      0                12345        3.750        0.000                       0                  6789


{verdict}

------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock  Waveform(ns)       Period(ns)      Frequency(MHz)
-----  ------------       ----------      --------------
fclk0  {{0.000 5.000}}      10.000          100.000

Max Delay Paths
--------------------------------------------------------------------------------------
Slack ({kind}) :             {wns}ns  (required time - arrival time)
  Source:                 logic_system/accelerator/fc0/weights_reg_3/CLKARDCLK
                            (rising edge-triggered cell RAMB36E1 clocked by fclk0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Destination:            logic_system/accelerator/fc0/sum_reg[17]/D
                            (rising edge-triggered cell FDRE clocked by fclk0  {{rise@0.000ns fall@5.000ns period=10.000ns}})
  Path Group:             fclk0
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (fclk0 rise@10.000ns - fclk0 rise@0.000ns)
  Data Path Delay:        9.109ns  (logic 4.872ns (53.486%)  route 4.237ns (46.514%))
  Logic Levels:           7  (CARRY4=4 LUT6=3)
"""  # noqa: E501


def timing(wns: str = "0.421", whs: str = "0.035") -> str:
    met = not wns.startswith("-")
    verdict = "All user specified timing constraints are met." if met else "Timing constraints are not met."
    return TIMING.format(wns=wns, whs=whs, tns="0.000", verdict=verdict, kind="MET" if met else "VIOLATED")


UTILISATION = """\
1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                |  9876 |     0 |          0 |     53200 | 18.56 |
|   LUT as Logic             |  9000 |     0 |          0 |     53200 | 16.92 |
|   LUT as Memory            |   876 |     0 |          0 |     17400 |  5.03 |
| Slice Registers            | 12321 |     0 |          0 |    106400 | 11.58 |
|   Register as Flip Flop    | 12321 |     0 |          0 |    106400 | 11.58 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 12.5 |     0 |          0 |       140 |  8.93 |
|   RAMB36/FIFO*    |   10 |     0 |          0 |       140 |  7.14 |
|   RAMB18          |    5 |     0 |          0 |       280 |  1.79 |
+-------------------+------+-------+------------+-----------+-------+

4. DSP
------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |   17 |     0 |          0 |       220 |  7.73 |
+-----------+------+-------+------------+-----------+-------+
"""

# What it writes of a placed design, cut down: three LUTs in two LUT6s of one slice, a register in another, a pad.
_BELS = ("X63Y47/SLICE_X0Y0.A6LUT", "X63Y47/SLICE_X0Y0.A5LUT", "X63Y47/SLICE_X0Y0.B6LUT", "X63Y47/SLICE_X1Y0.AFF",
         "X186Y65/IOB_X0Y1.IOB33M.PAD")  # fmt: skip
_CELLS = {f"c{k}": {"attributes": {"NEXTPNR_BEL": bel}} for k, bel in enumerate(_BELS)}
PLACEMENT = json.dumps({"modules": {"top": {"cells": {**_CELLS, "unplaced": {"attributes": {}}}}}})

# nextpnr-himbaechel-xilinx 0.11.1, cut down; figures of a real run, which had no RAMB and no DSP.
NEXTPNR = """\
Info: Using uarch 'xilinx' for device 'xc7z020clg400-1'

Info: Parsing XDC file...
Info: Generating derived timing constraints...
Info:     Derived frequency constraint of 100.0 MHz for net aclk

Info: Device utilisation:
Info: \t          SLICE_LUTX:    4141/ 106400     3%
Info: \t           SLICE_FFX:    3158/ 106400     2%
Info: \t              CARRY4:     214/  13300     1%
Info: \t          PSEUDO_GND:       1/      1   100%
Info: \t   RAMB18E1_RAMB18E1:       3/    280     1%
Info: \t   FIFO18E1_FIFO18E1:       0/    140     0%
Info: \tRAMBFIFO36E1_RAMBFIFO36E1:       0/    140     0%
Info: \t   RAMB36E1_RAMB36E1:      11/    140     7%
Info: \t     DSP48E1_DSP48E1:      21/    220     9%
Info: \t            BUFGCTRL:       1/     32     3%
Info: \t             PS7_PS7:       1/      1   100%

Info: Max frequency for clock 'aclk': 71.49 MHz (FAIL at 100.00 MHz)

Info: Slack histogram:
Info:  legend: * represents 22 endpoint(s)
Info: [ -3988,  -3336) |+

Info: Routing complete.

Info: Critical path report for clock 'aclk' (posedge -> posedge):
Info:       type curr  total name
Info:   clk-to-q  0.35  0.35 Source $auto$ff.cc:337:slice$15275.Q
Info:    routing  0.77  1.12 Net logic_system.shell.meter.begun0[0] (63,47) -> (63,59)
Info:                          Sink $auto$abc9_ops.cc:1612:reintegrate$94943.A1
Info:                          Defined in:
Info:                               system.v:2338.13-2338.19
Info:      logic  0.15  1.27 Source $auto$abc9_ops.cc:1612:reintegrate$94943.O5
Info:    routing  2.27  8.00 Net logic_system.shell.read0.unpacker._18_ (57,23) -> (54,62)
Info:                          Sink $auto$ff.cc:337:slice$14859.CE
Info:                          Defined in:
Info:                               system.v:3123.8-3123.12
Info:      setup  0.10  8.10 Source $auto$ff.cc:337:slice$14859.CE
Info: 1.98 ns logic, 6.12 ns routing

{line}

Info: Slack histogram:
Info: [  1902,   2273) |***+
Info: Running post-routing legalisation...

Info: Program finished normally.
"""


def nextpnr(fmax: float = 123.49) -> str:
    verdict = "Info: " if fmax >= 100 else "Warning: "
    met = "PASS" if fmax >= 100 else "FAIL"
    return NEXTPNR.format(line=f"{verdict}Max frequency for clock 'aclk': {fmax:.2f} MHz ({met} at 100.00 MHz)")
