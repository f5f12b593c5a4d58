"""A csynth.xml in the form that Vitis HLS and Vivado HLS write, with numbers made up for these tests."""

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<section name = "General Information" level="0">
<item name = "Product family">zynq</item>
</section>
<ReportVersion><Version>{version}</Version></ReportVersion>
<UserAssignments>
<unit>ns</unit><ProductFamily>zynq</ProductFamily><Part>xc7z020-clg400-1</Part>
<TopModelName>{top}</TopModelName>
<TargetClockPeriod>10.00</TargetClockPeriod><ClockUncertainty>2.70</ClockUncertainty>
<FlowTarget>vivado</FlowTarget>
</UserAssignments>
<PerformanceEstimates>
<PipelineType>dataflow</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>7.216</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<unit>clock cycles</unit>
<Best-caseLatency>21</Best-caseLatency><Average-caseLatency>21</Average-caseLatency>
<Worst-caseLatency>{latency}</Worst-caseLatency>
<Best-caseRealTimeLatency>0.210 us</Best-caseRealTimeLatency>
<DataflowPipelineThroughput>8</DataflowPipelineThroughput>
<Interval-min>8</Interval-min><Interval-max>8</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources><BRAM_18K>3</BRAM_18K><{dsp}>7</{dsp}><FF>1234</FF><LUT>5678</LUT><URAM>0</URAM></Resources>
<AvailableResources><BRAM_18K>280</BRAM_18K><{dsp}>220</{dsp}><FF>106400</FF><LUT>53200</LUT><URAM>0</URAM>
</AvailableResources>
</AreaEstimates>
</profile>
"""


def csynth_xml(top: str = "accelerator", version: str = "2023.2", dsp: str = "DSP", latency: str = "25") -> str:
    return REPORT.format(top=top, version=version, dsp=dsp, latency=latency)
